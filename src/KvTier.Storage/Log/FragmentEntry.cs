using FASTER.core;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>A piece of a record as FasterLog takes it: written straight into its page, one copy of the payload.</summary>
internal readonly struct FragmentEntry(in RecordHeader header, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload) : ILogEnqueueEntry
{
    /// <summary>FasterLog puts the entry's length before the entry; it is part of our header region.</summary>
    public const int PrefixBytes = 4;

    private readonly RecordHeader header = header;
    private readonly ReadOnlyMemory<byte> key = key;
    private readonly ReadOnlyMemory<byte> payload = payload;

    public int SerializedLength => header.TotalBytes - PrefixBytes;

    public void SerializeTo(Span<byte> dest)
    {
        header.Write(dest, key.Span);
        Span<byte> body = dest[(header.HeaderBytes - PrefixBytes)..];
        payload.Span.CopyTo(body);
        body[payload.Length..].Clear();
    }
}
