namespace KvTier.Recall;

/// <summary>What a sequence remembers from one recall to the next: earlier choices, which blocks were picked when.</summary>
internal sealed class RecallMemory
{
    /// <summary>Heat grows no further, so that it cools in time.</summary>
    private const int ScoredMax = 1024;

    private long hotBytes;
    private long deviceBytes;
    private int scored;

    /// <summary>Native bytes of what it brought into the hot set.</summary>
    internal long HotBytes => Interlocked.Read(ref hotBytes);

    /// <summary>Earlier choices that may be used again.</summary>
    internal ReuseTable Reuse { get; } = new();

    /// <summary>Which blocks were picked when.</summary>
    internal PickHistory Picks { get; } = new();

    /// <summary>Where the run that has the turn finds a block's source.</summary>
    internal SourceMap Sources { get; } = new();

    /// <summary>Bytes of what it brought to the device.</summary>
    internal long DeviceBytes => Interlocked.Read(ref deviceBytes);

    /// <summary>Notes that a digest was scored whole.</summary>
    /// <returns>How often that was so.</returns>
    internal int NoteScored() => scored = Math.Min(scored + 1, ScoredMax);

    /// <summary>Changes the figure of device bytes; from any thread.</summary>
    internal void AddDeviceBytes(long change) => Interlocked.Add(ref deviceBytes, change);

    /// <summary>Changes the figure of hot bytes; from any thread.</summary>
    internal void AddHotBytes(long change) => Interlocked.Add(ref hotBytes, change);
}
