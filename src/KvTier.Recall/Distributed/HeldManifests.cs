namespace KvTier.Recall;

/// <summary>The manifests that this silo has, as an owner or as a holder, of sequences that are open and of those that were closed.
/// Thread-safe.</summary>
internal sealed class HeldManifests(RecallService recall)
{
    private readonly ClosedSequences closed = new();

    /// <summary>Sequences that were closed.</summary>
    internal ClosedSequences Closed => closed;

    /// <summary>True when there is any, of a sequence that is open or of one that was closed. In its turn.</summary>
    internal bool HasAny(SequenceGrain grain) =>
        grain.State is not null || closed.ManifestOf(grain.Namespace, grain.Name) is not null;

    /// <summary>Numbers of the newest manifest here; zeros when there is none. In its turn.</summary>
    internal (long Epoch, long Version) HeldBy(SequenceGrain grain) =>
        grain.State is null ? closed.Find(grain.Namespace, grain.Name) : (grain.Epoch, grain.Version);

    /// <summary>The manifest here, when it is newer than one with these numbers. In its turn.</summary>
    internal ManifestMessage? Newer(SequenceGrain grain, long epoch, long version)
    {
        (long heldEpoch, long heldVersion) = HeldBy(grain);
        // What was stored before there was a cluster has no numbers, and is newer than nothing at all.
        bool isNewer = heldEpoch != epoch ? heldEpoch > epoch : heldVersion > version;
        bool isUnnumbered = (heldEpoch, heldVersion, epoch, version) == (0, 0, 0, 0);
        if (grain.State is not null) return isNewer || isUnnumbered ? Whole(grain, ManifestReason.HandOver) : null;
        if (!isNewer || closed.ManifestOf(grain.Namespace, grain.Name) is not { } manifest) return null;
        return new ManifestMessage
        {
            Namespace = recall.Engine.Namespaces[grain.Namespace],
            Reason = ManifestReason.HandOver,
            Manifest = manifest,
            Blocks = [],
        };
    }

    /// <summary>A grain's manifest with all its blocks. In its turn.</summary>
    internal ManifestMessage Whole(SequenceGrain grain, ManifestReason reason) => new()
    {
        Namespace = recall.Engine.Namespaces[grain.Namespace],
        Reason = reason,
        Manifest = recall.ManifestOf(grain, grain.State!),
        Blocks = [.. grain.State!.Blocks],
    };

    /// <summary>Takes the place of what is here. In the sequence's turn.</summary>
    internal async ValueTask<KvError?> InstallAsync(SequenceGrain grain, ManifestMessage message, Deadline deadline)
    {
        SequenceManifest? before = grain.State is { } old ? recall.ManifestOf(grain, old) : null;
        SequenceBlock[] blocks = [.. grain.State?.Blocks.Take(message.Keep) ?? [], .. message.Blocks];
        Result<SequenceManifest> local = await recall.SegmentsOfAsync(message.Manifest, blocks, deadline);
        if (!local.TryGet(out SequenceManifest? manifest, out KvError? error)) return error;
        if (await recall.Manifests.SaveAsync(manifest, before, deadline) is { } notSaved)
        {
            recall.Manifests.Drop(manifest.Segments);
            return notSaved;
        }

        if (before is not null) recall.Manifests.Drop(before.Segments);
        if (manifest.IsClosed)
        {
            closed.Add(grain.Namespace, grain.Name, manifest);
            recall.SetFrom(grain, null, []);
        }
        else
        {
            closed.Remove(grain.Namespace, grain.Name);
            recall.SetFrom(grain, manifest, blocks);
        }

        (grain.Epoch, grain.Version) = (manifest.Epoch, manifest.Version);
        grain.LastVersion = Math.Max(grain.LastVersion, manifest.Version);
        return null;
    }

    /// <summary>Drops what others have now, unless it has changed since.</summary>
    internal async ValueTask<bool> ForgetAsync(SequenceGrain grain, SequenceManifest given, Deadline deadline)
    {
        if (await grain.Turns.EnterAsync(deadline) is not null) return false;
        try
        {
            if (grain.State is null) return true;
            if (grain.Epoch != given.Epoch || grain.Version != given.Version) return false;
            SequenceManifest manifest = recall.ManifestOf(grain, grain.State);
            if (await recall.Manifests.DeleteAsync(manifest, deadline) is not null) return false;
            recall.Manifests.Drop(manifest.Segments);
            recall.SetFrom(grain, null, []);
            return true;
        }
        finally
        {
            RecallService.RetireFrom(recall.Sequences, grain);
            grain.Turns.Leave();
        }
    }
}
