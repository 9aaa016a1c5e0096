using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>Block ids as they stand in a body: 16 bytes each.</summary>
public readonly ref struct IdList
{
    private readonly ReadOnlySpan<byte> blob;

    internal IdList(ReadOnlySpan<byte> blob) => this.blob = blob;

    /// <summary>Number of ids.</summary>
    public int Count => blob.Length / BlockId.SizeBytes;

    /// <summary>The id at an index.</summary>
    public BlockId this[int index] => BlockId.Read(blob.Slice(index * BlockId.SizeBytes, BlockId.SizeBytes));

    /// <summary>Copies the ids to a span of at least <see cref="Count"/>.</summary>
    public void CopyTo(Span<BlockId> destination)
    {
        for (int i = 0; i < Count; i++) destination[i] = this[i];
    }
}

/// <summary>Lease or reservation numbers as they stand in a body: 8 bytes each, little-endian.</summary>
public readonly ref struct NumberList
{
    private readonly ReadOnlySpan<byte> blob;

    internal NumberList(ReadOnlySpan<byte> blob) => this.blob = blob;

    /// <summary>Number of numbers.</summary>
    public int Count => blob.Length / sizeof(ulong);

    /// <summary>The number at an index.</summary>
    public ulong this[int index] => BinaryPrimitives.ReadUInt64LittleEndian(blob.Slice(index * sizeof(ulong), sizeof(ulong)));
}

/// <summary>A range of a block.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes; 0 means to the end of the block.</param>
public readonly record struct ByteRange(int Offset, int Length)
{
    /// <summary>Length of a range on the wire in bytes.</summary>
    public const int SizeBytes = 8;

    /// <summary>The whole block.</summary>
    public static ByteRange Whole => default;
}

/// <summary>
/// Ranges as they stand in a body: offset and length, 4 bytes each, little-endian. The empty list stands for whole blocks.
/// </summary>
public readonly ref struct RangeList
{
    private readonly ReadOnlySpan<byte> blob;

    internal RangeList(ReadOnlySpan<byte> blob) => this.blob = blob;

    /// <summary>Number of ranges; 0 when whole blocks are meant.</summary>
    public int Count => blob.Length / ByteRange.SizeBytes;

    /// <summary>The range at an index; the whole block when the list is empty.</summary>
    public ByteRange this[int index] => blob.IsEmpty
        ? ByteRange.Whole
        : new ByteRange(
            BinaryPrimitives.ReadInt32LittleEndian(blob[(index * ByteRange.SizeBytes)..]),
            BinaryPrimitives.ReadInt32LittleEndian(blob[((index * ByteRange.SizeBytes) + 4)..]));
}

/// <summary>Numbers such as units or slots as they stand in a body: 4 bytes each, signed, little-endian.</summary>
public readonly ref struct Int32List
{
    private readonly ReadOnlySpan<byte> blob;

    internal Int32List(ReadOnlySpan<byte> blob) => this.blob = blob;

    /// <summary>Number of numbers.</summary>
    public int Count => blob.Length / sizeof(int);

    /// <summary>The number at an index.</summary>
    public int this[int index] => BinaryPrimitives.ReadInt32LittleEndian(blob.Slice(index * sizeof(int), sizeof(int)));

    /// <summary>Copies the numbers to a span of at least <see cref="Count"/>.</summary>
    public void CopyTo(Span<int> destination)
    {
        if (BitConverter.IsLittleEndian) blob.CopyTo(MemoryMarshal.AsBytes(destination));
        else for (int i = 0; i < Count; i++) destination[i] = this[i];
    }

    /// <summary>The numbers in a new array.</summary>
    public int[] ToArray()
    {
        int[] numbers = new int[Count];
        CopyTo(numbers);
        return numbers;
    }
}

/// <summary>Writes lists as bins.</summary>
internal static class ListWriter
{
    public static void WriteIds(this MessagePackWriter writer, FrameBuffer buffer, ReadOnlySpan<BlockId> ids)
    {
        int bytes = checked(ids.Length * BlockId.SizeBytes);
        writer.WriteBinHeader(bytes);
        Span<byte> destination = buffer.GetSpan(bytes);
        for (int i = 0; i < ids.Length; i++) ids[i].WriteTo(destination[(i * BlockId.SizeBytes)..]);
        buffer.Advance(bytes);
    }

    public static void WriteNumbers(this MessagePackWriter writer, FrameBuffer buffer, ReadOnlySpan<ulong> numbers)
    {
        int bytes = checked(numbers.Length * sizeof(ulong));
        writer.WriteBinHeader(bytes);
        Span<byte> destination = buffer.GetSpan(bytes);
        for (int i = 0; i < numbers.Length; i++) BinaryPrimitives.WriteUInt64LittleEndian(destination[(i * sizeof(ulong))..], numbers[i]);
        buffer.Advance(bytes);
    }

    public static void WriteInt32s(this MessagePackWriter writer, FrameBuffer buffer, ReadOnlySpan<int> numbers)
    {
        int bytes = checked(numbers.Length * sizeof(int));
        writer.WriteBinHeader(bytes);
        Span<byte> destination = buffer.GetSpan(bytes);
        for (int i = 0; i < numbers.Length; i++) BinaryPrimitives.WriteInt32LittleEndian(destination[(i * sizeof(int))..], numbers[i]);
        buffer.Advance(bytes);
    }

    public static void WriteRanges(this MessagePackWriter writer, FrameBuffer buffer, ReadOnlySpan<ByteRange> ranges)
    {
        int bytes = checked(ranges.Length * ByteRange.SizeBytes);
        writer.WriteBinHeader(bytes);
        Span<byte> destination = buffer.GetSpan(bytes);
        for (int i = 0; i < ranges.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(destination[(i * ByteRange.SizeBytes)..], ranges[i].Offset);
            BinaryPrimitives.WriteInt32LittleEndian(destination[((i * ByteRange.SizeBytes) + 4)..], ranges[i].Length);
        }

        buffer.Advance(bytes);
    }
}
