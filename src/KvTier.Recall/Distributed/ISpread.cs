namespace KvTier.Recall;

/// <summary>What a cluster changes about the sequences of a silo: their blocks lie on several silos, and their manifests have copies.
/// </summary>
internal interface ISpread
{
    /// <summary>Has the digests of blocks that are appended built where the blocks lie. In the sequence's turn.</summary>
    /// <param name="grain">The sequence.</param>
    /// <param name="state">What it is before.</param>
    /// <param name="addition">What is appended.</param>
    /// <param name="added">Takes the blocks.</param>
    /// <param name="deadline">Time for it.</param>
    ValueTask<KvError?> BuildAsync(
        SequenceGrain grain, SequenceState state, Addition addition, List<SequenceBlock> added, Deadline deadline);

    /// <summary>Keeps a manifest here and with the other holders of its group. In the sequence's turn.</summary>
    /// <param name="grain">The sequence.</param>
    /// <param name="change">What it becomes.</param>
    /// <param name="deadline">Time for it.</param>
    ValueTask<KvError?> SaveAsync(SequenceGrain grain, SequenceChange change, Deadline deadline);

    /// <summary>Notes a sequence that was closed before a restart.</summary>
    void NoteClosed(SequenceManifest manifest);

    /// <summary>Recalls.</summary>
    ValueTask<Result<RecallAnswer>> RecallAsync(RecallRequest request, Deadline deadline);
}

/// <summary>A change of a manifest.</summary>
/// <param name="Manifest">What it becomes; epoch and version are given by whoever keeps it.</param>
/// <param name="Before">What it was; null for a new one.</param>
/// <param name="Keep">First blocks that stay.</param>
/// <param name="Added">Blocks that follow them.</param>
internal sealed record SequenceChange(
    SequenceManifest Manifest, SequenceManifest? Before, int Keep, IReadOnlyList<SequenceBlock> Added);
