using System.Buffers.Binary;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>What the commit record says.</summary>
/// <param name="Sequence">Grows by one with each record.</param>
/// <param name="Epoch">Number of the opening that wrote it.</param>
/// <param name="BeginAddress">First address kept.</param>
/// <param name="DurableAddress">Everything before it is on the device.</param>
/// <param name="Clean">True when the log was closed in order and nothing follows.</param>
internal readonly record struct CommitRecord(long Sequence, uint Epoch, long BeginAddress, long DurableAddress, bool Clean);

/// <summary>
/// The commit record, in two slots that are written in turn, so that one is whole at any time. It is written after the data is
/// durable but not made durable itself, because recovery does without the newest one: it only spares checks.
/// </summary>
internal sealed class CommitFile : IDisposable
{
    public const string Name = "commit";
    public const int SlotBytes = 512;
    private const uint Magic = 0x3143564B; // "KVC1"
    private const int CrcOffset = 44;
    private readonly Microsoft.Win32.SafeHandles.SafeFileHandle handle;
    private readonly byte[] slot = new byte[SlotBytes];

    public CommitFile(string path)
    {
        handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        if (RandomAccess.GetLength(handle) < 2 * SlotBytes) RandomAccess.Write(handle, new byte[2 * SlotBytes], 0);
    }

    /// <summary>The newest whole record; null when there is none.</summary>
    public CommitRecord? Read()
    {
        CommitRecord? newest = null;
        Span<byte> bytes = stackalloc byte[SlotBytes];
        for (int i = 0; i < 2; i++)
        {
            int length = RandomAccess.Read(handle, bytes, i * SlotBytes);
            if (TryParse(bytes[..length], out CommitRecord record) && (newest is null || record.Sequence > newest.Value.Sequence))
                newest = record;
        }

        return newest;
    }

    public void Write(in CommitRecord record)
    {
        Format(slot, record);
        RandomAccess.Write(handle, slot, (record.Sequence & 1) * SlotBytes);
    }

    public void Sync() => RandomAccess.FlushToDisk(handle);

    public void Dispose() => handle.Dispose();

    internal static void Format(Span<byte> slot, in CommitRecord record)
    {
        slot.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(slot, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(slot[4..], 1);
        slot[6] = record.Clean ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteInt64LittleEndian(slot[8..], record.Sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[16..], record.Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(slot[24..], record.BeginAddress);
        BinaryPrimitives.WriteInt64LittleEndian(slot[32..], record.DurableAddress);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[CrcOffset..], Crc32C.Compute(slot[..CrcOffset]));
    }

    internal static bool TryParse(ReadOnlySpan<byte> slot, out CommitRecord record)
    {
        record = default;
        if (slot.Length < CrcOffset + 4 || BinaryPrimitives.ReadUInt32LittleEndian(slot) != Magic) return false;
        if (BinaryPrimitives.ReadUInt16LittleEndian(slot[4..]) != 1) return false;
        if (Crc32C.Compute(slot[..CrcOffset]) != BinaryPrimitives.ReadUInt32LittleEndian(slot[CrcOffset..])) return false;
        record = new CommitRecord(
            BinaryPrimitives.ReadInt64LittleEndian(slot[8..]),
            BinaryPrimitives.ReadUInt32LittleEndian(slot[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(slot[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(slot[32..]),
            slot[6] == 1);
        return record.BeginAddress >= 0 && record.DurableAddress >= record.BeginAddress && record.DurableAddress % LogGeometry.Align == 0;
    }
}
