using System.Numerics;
using System.Runtime.InteropServices;

namespace KvTier.Memory;

/// <summary>What an extent is the first one of.</summary>
internal enum ExtentKind : byte
{
    /// <summary>Nothing: the header, or inside a run.</summary>
    Inside = 0,

    /// <summary>First extent of a free run.</summary>
    Free,

    /// <summary>Last extent of a free run of two or more.</summary>
    FreeEnd,

    /// <summary>First extent of a slab.</summary>
    Slab,

    /// <summary>A later extent of a slab.</summary>
    SlabBody,

    /// <summary>First extent of a slot that takes whole extents.</summary>
    Large,
}

/// <summary>One extent's entry.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct Extent
{
    public ExtentKind Kind;

    /// <summary>Size class of a slab.</summary>
    public byte Class;

    /// <summary>Slots of a slab that are free.</summary>
    public ushort FreeSlots;

    /// <summary>Extents of the run; valid at its first extent.</summary>
    public int Length;

    /// <summary>First extent of the run; valid at its last one and inside slabs.</summary>
    public int Start;

    /// <summary>Neighbours in the list of free runs of one length, or of slabs of one class with free slots; -1 for none.</summary>
    public int Previous;
    public int Next;
}

/// <summary>
/// The free extents, kept as maximal runs in lists by length: best fit, split and coalesce in constant time. No run reaches over the
/// border of a chunk.
/// </summary>
internal sealed class ExtentPool : IDisposable
{
    public const int ExtentShift = 18;
    public const int ExtentBytes = 1 << ExtentShift;

    /// <summary>Longest run that can be asked for: 64 MiB.</summary>
    public const int RunMax = 256;

    private const int ExtentsPerChunk = 1 << (ChunkMemory.ChunkShift - ExtentShift);

    /// <summary>Lists for runs of 1 to 256 extents, and one for all that are longer.</summary>
    private const int Bins = RunMax + 2;

    private readonly NativeArray<Extent> table;
    private readonly int[] heads = new int[Bins];
    private readonly ulong[] nonEmpty = new ulong[(Bins + 63) / 64];

    /// <summary>Makes a pool in which extent 0 is taken by the header and all others are free.</summary>
    public ExtentPool(int extents)
    {
        Extents = extents;
        table = new NativeArray<Extent>(extents);
        Array.Fill(heads, -1);
        // From the end, so that the lowest chunk is on top of its list and memory is taken from low addresses first.
        for (int chunk = (extents - 1) / ExtentsPerChunk; chunk >= 0; chunk--)
        {
            int start = Math.Max(1, chunk * ExtentsPerChunk);
            int end = Math.Min(extents, (chunk + 1) * ExtentsPerChunk);
            if (end > start) Link(start, end - start);
        }
    }

    /// <summary>Extents of the arena, the header's among them.</summary>
    public int Extents { get; }

    /// <summary>Extents that are free.</summary>
    public int FreeExtents { get; private set; }

    /// <summary>An extent's entry.</summary>
    public ref Extent this[int extent] => ref table[extent];

    /// <summary>Takes the shortest run that is long enough and gives its rest back.</summary>
    /// <param name="length">Extents, 1 to <see cref="RunMax"/>.</param>
    /// <returns>The first extent; -1 when no run is long enough.</returns>
    public int Take(int length)
    {
        int bin = FindBin(length);
        if (bin < 0) return -1;
        int start = heads[bin];
        int found = table[start].Length;
        Unlink(start);
        if (found > length) Link(start + length, found - length);
        return start;
    }

    /// <summary>Gives a run back and joins it with free neighbours.</summary>
    public void Give(int start, int length)
    {
        if (start % ExtentsPerChunk != 0)
        {
            ref Extent left = ref table[start - 1];
            int leftStart = left.Kind switch { ExtentKind.Free => start - 1, ExtentKind.FreeEnd => left.Start, _ => -1 };
            if (leftStart >= 0)
            {
                length += start - leftStart;
                Unlink(leftStart);
                start = leftStart;
            }
        }

        int right = start + length;
        if (right % ExtentsPerChunk != 0 && right < Extents && table[right].Kind == ExtentKind.Free)
        {
            length += table[right].Length;
            Unlink(right);
        }

        Link(start, length);
    }

    /// <summary>Takes every free extent from one on out of use, for good.</summary>
    /// <returns>How many there were.</returns>
    public int Retire(int first)
    {
        int retired = 0;
        for (int extent = 1; extent < Extents;)
        {
            ExtentKind kind = table[extent].Kind;
            int length = kind == ExtentKind.Inside ? 1 : table[extent].Length;
            int end = extent + length;
            if (kind == ExtentKind.Free && end > first)
            {
                Unlink(extent);
                int keep = Math.Max(0, first - extent);
                if (keep > 0) Link(extent, keep);
                retired += length - keep;
            }

            extent = end;
        }

        return retired;
    }

    /// <summary>Frees the table.</summary>
    public void Dispose() => table.Dispose();

    private int FindBin(int length)
    {
        int word = length >> 6;
        ulong bits = nonEmpty[word] & (ulong.MaxValue << (length & 63));
        while (bits == 0)
        {
            if (++word == nonEmpty.Length) return -1;
            bits = nonEmpty[word];
        }

        return (word << 6) + BitOperations.TrailingZeroCount(bits);
    }

    private void Link(int start, int length)
    {
        int bin = Math.Min(length, RunMax + 1);
        int next = heads[bin];
        table[start] = new Extent { Kind = ExtentKind.Free, Length = length, Start = start, Previous = -1, Next = next };
        if (length > 1) table[start + length - 1] = new Extent { Kind = ExtentKind.FreeEnd, Start = start };
        if (next >= 0) table[next].Previous = start;
        heads[bin] = start;
        nonEmpty[bin >> 6] |= 1UL << (bin & 63);
        FreeExtents += length;
    }

    private void Unlink(int start)
    {
        Extent run = table[start];
        int bin = Math.Min(run.Length, RunMax + 1);
        if (run.Previous >= 0) table[run.Previous].Next = run.Next;
        else heads[bin] = run.Next;
        if (run.Next >= 0) table[run.Next].Previous = run.Previous;
        if (heads[bin] < 0) nonEmpty[bin >> 6] &= ~(1UL << (bin & 63));
        if (run.Length > 1) table[start + run.Length - 1] = default;
        table[start] = default;
        FreeExtents -= run.Length;
    }
}
