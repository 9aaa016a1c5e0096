namespace KvTier.Recall;

/// <summary>The one owner of a sequence. Messages enter by <see cref="Turns"/>.</summary>
/// <param name="number">Tells it from every other one since start; messages to several enter in this order.</param>
/// <param name="ns">Handle of its namespace.</param>
/// <param name="name">Its name.</param>
/// <param name="mailboxMax">Most messages that wait.</param>
internal sealed class SequenceGrain(long number, ushort ns, string name, int mailboxMax)
{
    private volatile SequenceInfo? info;

    internal long Number => number;

    internal ushort Namespace => ns;

    internal string Name => name;

    /// <summary>Its mailbox.</summary>
    internal Turns Turns { get; } = new(mailboxMax);

    /// <summary>What it is; null before it is open and after it is closed. Touched in a turn only.</summary>
    internal SequenceState? State { get; private set; }

    /// <summary>What it remembers from one recall to the next. Touched in a turn only.</summary>
    internal RecallMemory Memory { get; } = new();

    /// <summary>True when it is of no more use; its name finds another grain, or none. Touched in a turn only.</summary>
    internal bool IsRetired { get; set; }

    /// <summary>Epoch of its manifest. Touched in a turn only.</summary>
    internal long Epoch { get; set; }

    /// <summary>Version of its manifest. Touched in a turn only.</summary>
    internal long Version { get; set; }

    /// <summary>The last version that was given out, whether or not it was kept. Touched in a turn only.</summary>
    internal long LastVersion { get; set; }

    /// <summary>Epoch in which this silo took the sequence over as its owner; 0 when it has not. Touched in a turn only.</summary>
    internal long ActiveEpoch { get; set; }

    /// <summary>Epoch of the newest owner that asked for the manifest: what an older owner writes is refused. Touched in a turn only.
    /// </summary>
    internal long Fence { get; set; }

    /// <summary>How its values follow its keys, learnt from several silos. Touched in a turn only.</summary>
    internal List<LearntMaps> Maps { get; } = [];

    /// <summary>Which silo has which of its blocks; null when that is to be worked out. Touched in a turn only.</summary>
    internal SequencePlaces? Places { get; set; }

    /// <summary>Of a part: when it was used last, in uses of parts.</summary>
    internal long LastUse { get; set; }

    /// <summary>Bytes of its digests that are in the silo's sum. Touched in a turn only.</summary>
    internal long AccountedBytes { get; set; }

    /// <summary>What is shown of it, from any thread; null while it is not open.</summary>
    internal SequenceInfo? Info => info;

    /// <summary>What is shown of it, with what it holds in the hot set and on the device now.</summary>
    internal SequenceInfo? Fresh => info is { } shown ? shown with { HotBytes = Memory.HotBytes, DeviceBytes = Memory.DeviceBytes } : null;

    /// <summary>Opens or closes it.</summary>
    internal void Set(SequenceState? state)
    {
        State = state;
        Publish();
    }

    /// <summary>Shows what it has become.</summary>
    internal SequenceInfo? Publish() => info = State is not { } state ? null : new SequenceInfo
    {
        Namespace = ns,
        Name = name,
        Blocks = state.Blocks.Count,
        Tokens = state.Tokens,
        Digests = state.Specs,
        Rotation = state.Rotation,
        DigestBytes = state.DigestBytes,
        QuarantinedChunks = state.Digests.Sum(index => index.QuarantinedChunks),
    };
}

/// <summary>A turn that ends when it is disposed.</summary>
/// <param name="turns">The mailbox.</param>
internal sealed class HeldTurn(Turns turns) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => turns.Leave();
}
