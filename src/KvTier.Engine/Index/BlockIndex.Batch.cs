using System.Numerics;
using System.Runtime.Intrinsics.X86;

namespace KvTier.Engine;

/// <summary>Looking up many blocks at once: the buckets of a window are asked from memory together, then its entries.</summary>
internal sealed unsafe partial class BlockIndex
{
    /// <summary>Ids whose cache lines are on their way at one time.</summary>
    private const int Window = 32;

    /// <summary>Finds blocks in order until one is missing.</summary>
    /// <param name="ns">Their namespace.</param>
    /// <param name="ids">Their ids.</param>
    /// <param name="found">Takes the entry numbers; at least as long as <paramref name="ids"/>.</param>
    /// <returns>How many were found before the first that was not.</returns>
    internal int FindPrefix(ushort ns, ReadOnlySpan<BlockId> ids, Span<uint> found)
    {
        for (int start = 0; start < ids.Length; start += Window)
        {
            ReadOnlySpan<BlockId> window = ids.Slice(start, Math.Min(Window, ids.Length - start));
            int count = FindWindow(ns, window, found.Slice(start, window.Length));
            if (count < window.Length) return start + count;
        }

        return ids.Length;
    }

    private int FindWindow(ushort ns, ReadOnlySpan<BlockId> ids, Span<uint> found)
    {
        Bucket** places = stackalloc Bucket*[Window];
        byte* tags = stackalloc byte[Window];
        for (int i = 0; i < ids.Length; i++)
        {
            ulong hash = Hash(ns, ids[i]);
            places[i] = Locate(hash);
            tags[i] = TagOf(hash);
            if (Sse.IsSupported) Sse.Prefetch0(places[i]);
        }

        if (Sse.IsSupported)
        {
            for (int i = 0; i < ids.Length; i++)
            {
                uint match = Bucket.Match(places[i], tags[i]);
                if (match != 0) Sse.Prefetch0(entries.Pointer + places[i]->Entries[BitOperations.TrailingZeroCount(match)]);
            }
        }

        for (int i = 0; i < ids.Length; i++)
        {
            found[i] = FindIn(places[i], ns, ids[i], tags[i]);
            if (found[i] == 0) return i;
        }

        return ids.Length;
    }
}
