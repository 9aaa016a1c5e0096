using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace KvTier.Recall;

/// <summary>Writes the record of a message: little-endian, lists and texts after their length.</summary>
internal sealed class MessageWriter
{
    private readonly ArrayBufferWriter<byte> bytes = new();

    /// <summary>What was written.</summary>
    internal ReadOnlyMemory<byte> Written => bytes.WrittenMemory;

    internal void Byte(byte value)
    {
        bytes.GetSpan(1)[0] = value;
        bytes.Advance(1);
    }

    internal void Flag(bool value) => Byte((byte)(value ? 1 : 0));

    internal void Int(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes.GetSpan(4), value);
        bytes.Advance(4);
    }

    internal void Long(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(bytes.GetSpan(8), value);
        bytes.Advance(8);
    }

    internal void Double(double value) => Long(BitConverter.DoubleToInt64Bits(value));

    internal void Text(string value)
    {
        Int(Encoding.UTF8.GetByteCount(value));
        Raw(Encoding.UTF8.GetBytes(value));
    }

    internal void Id(BlockId id)
    {
        id.WriteTo(bytes.GetSpan(BlockId.SizeBytes));
        bytes.Advance(BlockId.SizeBytes);
    }

    internal void Namespace(NamespaceId id)
    {
        id.WriteTo(bytes.GetSpan(NamespaceId.SizeBytes));
        bytes.Advance(NamespaceId.SizeBytes);
    }

    internal void Ids(ReadOnlySpan<BlockId> ids)
    {
        Int(ids.Length);
        foreach (BlockId id in ids) Id(id);
    }

    /// <summary>Numbers of 4 bytes. Silos are little-endian, as are the records.</summary>
    internal void Numbers<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        Int(values.Length);
        Raw(MemoryMarshal.AsBytes(values));
    }

    internal void Raw(ReadOnlySpan<byte> value) => bytes.Write(value);
}
