using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace KvTier.Engine;

/// <summary>
/// Every block the engine knows, by namespace and id: a hash table of cache-line buckets that point into an array of entries, both in
/// native memory. An entry keeps its number as long as its block stays. Not thread-safe.
/// </summary>
/// <remarks>
/// A bucket of N is found as the high half of hash × N. Growth raises N to N' in place, from the last bucket down: an entry of bucket b
/// moves to a bucket that is b or above it, so the buckets below the border still hold what hash × N says and those from it on what
/// hash × N' says. Two buckets move with each block added, so no caller waits for a whole table.
/// </remarks>
internal sealed unsafe partial class BlockIndex : IDisposable
{
    /// <summary>Most blocks; only addresses are reserved for them.</summary>
    internal const long BlocksMax = 1L << 28;

    private const int BucketsFirst = 64;

    /// <summary>Mean entries per bucket at which the table grows: with twelve places one bucket in eight overflows then.</summary>
    private const int LoadMax = 9;

    /// <summary>
    /// Below this many buckets the table doubles; from it on it grows by a quarter, to keep the mean load between 7.2 and 9.
    /// </summary>
    private const ulong DoublingMax = 1024;

    private readonly ReservedArray<BlockEntry> entries = new(BlocksMax);
    private readonly ReservedArray<uint> groups = new(BlocksMax);
    private readonly ReservedArray<Bucket> buckets = new(BlocksMax / 4);
    private readonly ReservedArray<Bucket> overflows = new(BlocksMax / 16);
    private ulong bucketsOld = BucketsFirst;
    private ulong bucketsNew = BucketsFirst;
    private ulong border;
    private uint entriesTop = 1;
    private uint freeEntry;
    private uint overflowsTop = 1;
    private uint freeOverflow;

    /// <summary>Blocks in the index.</summary>
    internal long Count { get; private set; }

    /// <summary>One more than the highest entry number handed out so far.</summary>
    internal uint Top => entriesTop;

    /// <summary>Bytes of native memory that entries and buckets take.</summary>
    internal long NativeBytes => entries.Pointer == null
        ? 0
        : (entriesTop * (long)(BlockEntry.SizeBytes + sizeof(uint))) + (((long)bucketsNew + overflowsTop) * Bucket.SizeBytes);

    /// <summary>An entry by its number.</summary>
    internal ref BlockEntry this[uint entry]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref entries.Pointer[entry];
    }

    /// <summary>
    /// Ordinal of a block's group in the <see cref="GroupTable"/>; 0 for its own id. It lies beside the entries, so that they keep the
    /// size that look-ups are fast with.
    /// </summary>
    internal ref uint GroupOf(uint entry) => ref groups.Pointer[entry];

    /// <summary>The 64-bit hash of a block's identity, which ghost list and miss ledger use too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Hash(ushort ns, BlockId id)
    {
        ulong high = Math.BigMul(id.High ^ 0x9E3779B97F4A7C15UL ^ ((ulong)ns << 17), id.Low ^ 0xD6E8FEB86659FD93UL, out ulong low);
        return high ^ low;
    }

    /// <summary>Finds a block.</summary>
    /// <returns>Its entry number; 0 when it is not here.</returns>
    internal uint Find(ushort ns, BlockId id) => Find(ns, id, Hash(ns, id));

    /// <summary>Finds a block whose hash is known.</summary>
    internal uint Find(ushort ns, BlockId id, ulong hash) => FindIn(Locate(hash), ns, id, TagOf(hash));

    /// <summary>Adds a block that is not here.</summary>
    /// <returns>Its entry number; identity is set, the slot is -1, all else is zero.</returns>
    internal uint Add(ushort ns, BlockId id)
    {
        uint number = freeEntry;
        if (number != 0) freeEntry = (uint)entries.Pointer[number].Low;
        else if (entriesTop < BlocksMax) number = entriesTop++;
        else throw new KvException(KvError.LimitExceeded("blocks", entriesTop, BlocksMax));
        ref BlockEntry entry = ref entries.Pointer[number];
        entry = default;
        entry.High = id.High;
        entry.Low = id.Low;
        entry.Namespace = ns;
        entry.Slot = -1;
        Count++;
        Grow();
        Place(Hash(ns, id), number);
        return number;
    }

    /// <summary>Removes a block; its entry number will be used again.</summary>
    internal void Remove(uint number)
    {
        ref BlockEntry entry = ref entries.Pointer[number];
        Unplace(Hash(entry.Namespace, entry.Id), number);
        entry = default;
        entry.Namespace = BlockEntry.FreeNamespace;
        entry.Low = freeEntry;
        freeEntry = number;
        Count--;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        entries.Dispose();
        groups.Dispose();
        buckets.Dispose();
        overflows.Dispose();
        Count = 0;
    }

    private static byte TagOf(ulong hash)
    {
        byte tag = (byte)hash;
        return tag == 0 ? (byte)1 : tag;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Bucket* Locate(ulong hash)
    {
        ulong old = Math.BigMul(hash, bucketsOld, out _);
        return buckets.Pointer + (old < border ? old : Math.BigMul(hash, bucketsNew, out _));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private uint FindIn(Bucket* bucket, ushort ns, BlockId id, byte tag)
    {
        while (true)
        {
            for (uint match = Bucket.Match(bucket, tag); match != 0; match &= match - 1)
            {
                uint number = bucket->Entries[BitOperations.TrailingZeroCount(match)];
                BlockEntry* entry = entries.Pointer + number;
                if (entry->Low == id.Low && entry->High == id.High && entry->Namespace == ns) return number;
            }

            if (bucket->Overflow == 0) return 0;
            bucket = overflows.Pointer + bucket->Overflow;
        }
    }

    private void Place(ulong hash, uint number)
    {
        Bucket* bucket = Locate(hash);
        while (true)
        {
            uint free = Bucket.Match(bucket, 0);
            if (free != 0)
            {
                int place = BitOperations.TrailingZeroCount(free);
                bucket->Entries[place] = number;
                bucket->Tags[place] = TagOf(hash);
                return;
            }

            if (bucket->Overflow == 0) bucket->Overflow = TakeOverflow();
            bucket = overflows.Pointer + bucket->Overflow;
        }
    }

    private void Unplace(ulong hash, uint number)
    {
        Bucket* previous = null;
        Bucket* bucket = Locate(hash);
        while (true)
        {
            for (uint match = Bucket.Match(bucket, TagOf(hash)); match != 0; match &= match - 1)
            {
                int place = BitOperations.TrailingZeroCount(match);
                if (bucket->Entries[place] != number) continue;
                bucket->Entries[place] = 0;
                bucket->Tags[place] = 0;
                if (previous != null && Bucket.Taken(bucket) == 0) DropOverflow(previous);
                return;
            }

            previous = bucket;
            bucket = overflows.Pointer + bucket->Overflow;
        }
    }

    private uint TakeOverflow()
    {
        uint number = freeOverflow;
        if (number == 0) return overflowsTop++;
        freeOverflow = overflows.Pointer[number].Overflow;
        overflows.Pointer[number].Overflow = 0;
        return number;
    }

    private void DropOverflow(Bucket* previous)
    {
        uint number = previous->Overflow;
        previous->Overflow = overflows.Pointer[number].Overflow;
        overflows.Pointer[number] = default;
        overflows.Pointer[number].Overflow = freeOverflow;
        freeOverflow = number;
    }

    private void Grow()
    {
        if (border == 0)
        {
            if ((ulong)Count <= bucketsNew * LoadMax) return;
            bucketsOld = bucketsNew;
            border = bucketsOld;
            bucketsNew += bucketsOld < DoublingMax ? bucketsOld : bucketsOld / 4;
        }

        MoveBucket(--border);
        if (border != 0) MoveBucket(--border);
    }

    private void MoveBucket(ulong number)
    {
        Bucket* bucket = buckets.Pointer + number;
        Bucket copy = *bucket;
        *bucket = default;
        Bucket* source = &copy;
        uint next;
        do
        {
            for (uint taken = Bucket.Taken(source); taken != 0; taken &= taken - 1)
            {
                if (Sse.IsSupported) Sse.Prefetch0(entries.Pointer + source->Entries[BitOperations.TrailingZeroCount(taken)]);
            }

            for (uint taken = Bucket.Taken(source); taken != 0; taken &= taken - 1)
            {
                uint entry = source->Entries[BitOperations.TrailingZeroCount(taken)];
                Place(Hash(entries.Pointer[entry].Namespace, entries.Pointer[entry].Id), entry);
            }

            next = copy.Overflow;
            if (next == 0) break;
            copy = overflows.Pointer[next];
            overflows.Pointer[next] = default;
            overflows.Pointer[next].Overflow = freeOverflow;
            freeOverflow = next;
        }
        while (true);
    }
}
