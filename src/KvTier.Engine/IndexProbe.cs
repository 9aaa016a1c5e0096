namespace KvTier.Engine;

/// <summary>An index of made-up blocks without an engine around it, to measure size and look-up time. Not thread-safe.</summary>
public sealed class IndexProbe : IDisposable
{
    private const ushort Namespace = 0;

    private readonly BlockIndex index = new();
    private readonly uint[] found = new uint[Limits.Default.BatchBlocksMax];

    /// <summary>Makes an index with the blocks 0 to <paramref name="blocks"/> - 1.</summary>
    /// <param name="blocks">How many.</param>
    public IndexProbe(long blocks)
    {
        for (long number = 0; number < blocks; number++) index.Add(Namespace, IdOf(number));
    }

    /// <summary>Blocks in the index.</summary>
    public long Count => index.Count;

    /// <summary>Native bytes of the index, keys not counted.</summary>
    public long NativeBytes => index.NativeBytes;

    /// <summary>Bytes of the index for each block, keys not counted.</summary>
    public double BytesPerBlock => (double)index.NativeBytes / index.Count;

    /// <summary>The id of a made-up block: as evenly spread as the digests that real ids are.</summary>
    public static BlockId IdOf(long number) => new(Mix((ulong)number), Mix((ulong)number ^ 0x5851F42D4C957F2D));

    /// <summary>Looks one block up.</summary>
    /// <returns>True when it is in the index.</returns>
    public bool Contains(BlockId id) => index.Find(Namespace, id) != 0;

    /// <summary>Counts the ids that are in the index, from the first one on without a gap.</summary>
    /// <param name="ids">At most 4,096 ids.</param>
    public int Prefix(ReadOnlySpan<BlockId> ids) => index.FindPrefix(Namespace, ids, found);

    /// <inheritdoc/>
    public void Dispose() => index.Dispose();

    // The finalizer of SplitMix64.
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
