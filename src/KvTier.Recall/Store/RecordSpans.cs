using System.Buffers.Binary;

namespace KvTier.Recall;

/// <summary>Writes the fields of a record one after the other.</summary>
internal ref struct RecordWriter(Span<byte> bytes)
{
    private Span<byte> left = bytes;

    internal Span<byte> Take(int length)
    {
        Span<byte> taken = left[..length];
        left = left[length..];
        return taken;
    }

    internal void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Take(value.Length));

    internal void Byte(byte value) => Take(1)[0] = value;

    internal void Int(int value) => BinaryPrimitives.WriteInt32LittleEndian(Take(4), value);

    internal void Long(long value) => BinaryPrimitives.WriteInt64LittleEndian(Take(8), value);
}

/// <summary>Reads the fields of a record one after the other. Beyond its end all is zero, and it is not done.</summary>
internal ref struct RecordReader(ReadOnlySpan<byte> bytes)
{
    private static readonly byte[] zeros = new byte[64];
    private ReadOnlySpan<byte> left = bytes;
    private bool over;

    /// <summary>Bytes not read.</summary>
    internal readonly int Left => left.Length;

    /// <summary>True when everything was there and nothing is left.</summary>
    internal readonly bool IsDone => !over && left.IsEmpty;

    /// <summary>The next bytes.</summary>
    /// <param name="length">How many.</param>
    /// <param name="whole">True to get zeros when they are not there, else none.</param>
    internal ReadOnlySpan<byte> Take(int length, bool whole = false)
    {
        if (length > left.Length)
        {
            over = true;
            left = default;
            return whole ? zeros.AsSpan(0, length) : default;
        }

        ReadOnlySpan<byte> taken = left[..length];
        left = left[length..];
        return taken;
    }

    internal bool Expect(ReadOnlySpan<byte> value) => Take(value.Length).SequenceEqual(value);

    internal byte Byte() => Take(1, whole: true)[0];

    internal int Int() => BinaryPrimitives.ReadInt32LittleEndian(Take(4, whole: true));

    internal long Long() => BinaryPrimitives.ReadInt64LittleEndian(Take(8, whole: true));
}
