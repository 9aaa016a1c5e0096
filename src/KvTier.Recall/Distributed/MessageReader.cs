using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace KvTier.Recall;

/// <summary>Reads the record of a message. Beyond its end all is zero and empty, and it is not done; no length makes it allocate more than
/// the record has.</summary>
internal ref struct MessageReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> left = bytes;
    private bool over;

    /// <summary>True when everything was there and nothing is left.</summary>
    internal readonly bool IsDone => !over && left.IsEmpty;

    internal byte Byte() => Take(1) is [var value] ? value : (byte)0;

    internal bool Flag() => Byte() != 0;

    internal int Int() => Take(4) is { IsEmpty: false } some ? BinaryPrimitives.ReadInt32LittleEndian(some) : 0;

    internal long Long() => Take(8) is { IsEmpty: false } some ? BinaryPrimitives.ReadInt64LittleEndian(some) : 0;

    internal double Double() => BitConverter.Int64BitsToDouble(Long());

    internal string Text() => Encoding.UTF8.GetString(Take(Int()));

    internal BlockId Id() => Take(BlockId.SizeBytes) is { IsEmpty: false } some ? BlockId.Read(some) : default;

    internal NamespaceId Namespace() => Take(NamespaceId.SizeBytes) is { IsEmpty: false } some ? NamespaceId.Read(some) : default;

    internal BlockId[] Ids()
    {
        ReadOnlySpan<byte> some = TakeMany(Int(), BlockId.SizeBytes);
        var ids = new BlockId[some.Length / BlockId.SizeBytes];
        for (int i = 0; i < ids.Length; i++) ids[i] = BlockId.Read(some.Slice(i * BlockId.SizeBytes, BlockId.SizeBytes));
        return ids;
    }

    internal T[] Numbers<T>()
        where T : unmanaged
    {
        ReadOnlySpan<byte> some = TakeMany(Int(), Unsafe.SizeOf<T>());
        var values = new T[some.Length / Unsafe.SizeOf<T>()];
        some.CopyTo(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary>A count of things that have some bytes each; 0 when there can't be as many.</summary>
    internal int Count(int leastBytes)
    {
        int count = Int();
        if (count >= 0 && (long)count * leastBytes <= left.Length) return count;
        over = true;
        return 0;
    }

    internal ReadOnlySpan<byte> Take(int length)
    {
        if (length < 0 || length > left.Length)
        {
            over = true;
            left = default;
            return default;
        }

        ReadOnlySpan<byte> taken = left[..length];
        left = left[length..];
        return taken;
    }

    /// <summary>All that is left.</summary>
    internal ReadOnlySpan<byte> Rest() => Take(left.Length);

    private ReadOnlySpan<byte> TakeMany(int count, int size)
    {
        if (count >= 0 && (long)count * size <= left.Length) return Take(count * size);
        over = true;
        left = default;
        return default;
    }
}
