using System.Numerics;
using System.Runtime.InteropServices;

namespace KvTier.Engine;

/// <summary>A group with blocks here: 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = SizeBytes)]
internal struct GroupEntry
{
    internal const int SizeBytes = 32;

    private const int NamespaceBits = 16;

    internal ulong High;
    internal ulong Low;
    private ulong namespaceAndBytes;

    /// <summary>Blocks of it; 0 when the entry is free.</summary>
    internal uint Blocks;

    /// <summary>The next entry of its chain, or the next free one; 0 for none.</summary>
    internal uint Next;

    internal readonly BlockId Id => new(High, Low);

    internal ushort Namespace
    {
        readonly get => (ushort)namespaceAndBytes;
        set => namespaceAndBytes = (namespaceAndBytes & ~0xFFFFUL) | value;
    }

    /// <summary>Payload bytes of its blocks, below 2^48.</summary>
    internal long Bytes
    {
        readonly get => (long)(namespaceAndBytes >> NamespaceBits);
        set => namespaceAndBytes = (namespaceAndBytes & 0xFFFF) | ((ulong)value << NamespaceBits);
    }
}

/// <summary>
/// The groups that have other blocks than the one they are named by, by namespace and id, in native memory: 36 bytes a group. A group has
/// an ordinal as long as it has blocks; then the ordinal is used again. Not thread-safe.
/// </summary>
/// <remarks>Linear hashing with chains: each group added splits one chain, so that nobody waits for a whole table.</remarks>
internal sealed unsafe class GroupTable : IDisposable
{
    private readonly ReservedArray<GroupEntry> entries = new(BlockIndex.BlocksMax);
    private readonly ReservedArray<uint> heads = new(BlockIndex.BlocksMax);
    private uint chains = 1;
    private uint top = 1;
    private uint free;

    /// <summary>Groups in the table.</summary>
    internal long Count { get; private set; }

    /// <summary>One more than the highest ordinal handed out so far.</summary>
    internal uint Top => top;

    /// <summary>Bytes of native memory that the table takes.</summary>
    internal long NativeBytes => entries.Pointer == null ? 0 : (top * (long)GroupEntry.SizeBytes) + (chains * (long)sizeof(uint));

    /// <summary>A group by its ordinal; free when it has no blocks.</summary>
    internal ref GroupEntry this[uint ordinal] => ref entries.Pointer[ordinal];

    /// <summary>Finds a group.</summary>
    /// <returns>Its ordinal; 0 when it is not in the table.</returns>
    internal uint Find(ushort ns, BlockId id)
    {
        for (uint number = heads[ChainOf(ns, id)]; number != 0; number = entries.Pointer[number].Next)
        {
            GroupEntry* entry = entries.Pointer + number;
            if (entry->Low == id.Low && entry->High == id.High && entry->Namespace == ns) return number;
        }

        return 0;
    }

    /// <summary>Adds a group that is not in the table. It has no blocks yet: <see cref="AddBlock"/> has to follow.</summary>
    /// <returns>Its ordinal.</returns>
    internal uint Add(ushort ns, BlockId id)
    {
        uint number = free;
        if (number != 0) free = entries.Pointer[number].Next;
        else if (top < BlockIndex.BlocksMax) number = top++;
        else throw new KvException(KvError.LimitExceeded("groups", top, BlockIndex.BlocksMax));
        Count++;
        if (Count > chains) Split();
        ref uint head = ref heads[ChainOf(ns, id)];
        entries.Pointer[number] = new GroupEntry { High = id.High, Low = id.Low, Namespace = ns, Next = head };
        head = number;
        return number;
    }

    /// <summary>Counts a block to a group.</summary>
    internal void AddBlock(uint ordinal, int length)
    {
        ref GroupEntry entry = ref entries.Pointer[ordinal];
        entry.Blocks++;
        entry.Bytes += length;
    }

    /// <summary>Takes a block from a group; the group goes with its last one.</summary>
    internal void RemoveBlock(uint ordinal, int length)
    {
        ref GroupEntry entry = ref entries.Pointer[ordinal];
        entry.Bytes -= length;
        if (--entry.Blocks > 0) return;
        ref uint link = ref heads[ChainOf(entry.Namespace, entry.Id)];
        while (link != ordinal) link = ref entries.Pointer[link].Next;
        link = entry.Next;
        entry = new GroupEntry { Next = free };
        free = ordinal;
        Count--;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        entries.Dispose();
        heads.Dispose();
        Count = 0;
    }

    private uint ChainOf(ushort ns, BlockId id)
    {
        // The low bits of the hash, one more of them for the chains that were split already.
        uint wide = BitOperations.RoundUpToPowerOf2(chains);
        uint chain = (uint)BlockIndex.Hash(ns, id) & (wide - 1);
        return chain < chains ? chain : chain & ((wide >> 1) - 1);
    }

    private void Split()
    {
        uint target = chains++;
        uint source = target - (BitOperations.RoundUpToPowerOf2(chains) >> 1);
        uint number = heads[source];
        heads[source] = 0;
        heads[target] = 0;
        while (number != 0)
        {
            GroupEntry* entry = entries.Pointer + number;
            uint next = entry->Next;
            ref uint head = ref heads[ChainOf(entry->Namespace, entry->Id)];
            entry->Next = head;
            head = number;
            number = next;
        }
    }
}
