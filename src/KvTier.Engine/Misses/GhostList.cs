namespace KvTier.Engine;

/// <summary>Remembers which blocks left host memory last, so that it can say what a larger host tier would have hit.</summary>
/// <param name="capacity">Blocks remembered.</param>
internal sealed class GhostList(int capacity)
{
    private readonly FingerprintRing ring = new(capacity);

    /// <summary>Requests for blocks that a host tier larger by the list's size would have held.</summary>
    internal long Hits { get; private set; }

    /// <summary>A block left host memory.</summary>
    internal void Left(ulong print) => ring.Add(print);

    /// <summary>A block that is not in host memory was asked for, or is put again. Counted once for each time it left.</summary>
    internal void Wanted(ulong print)
    {
        if (ring.Remove(print)) Hits++;
    }
}
