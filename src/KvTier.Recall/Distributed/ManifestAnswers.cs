namespace KvTier.Recall;

/// <summary>What a silo does with manifests that others ask for, bring, or have it create. Thread-safe.</summary>
internal sealed class ManifestAnswers(
    RecallService recall, IPartPeers peers, PartCaller caller, HeldManifests held, ManifestKeeper keeper)
{
    /// <summary>Gives the manifest that this silo has, if it is newer than what the asker has.</summary>
    internal async ValueTask<Result<ManifestMessage?>> OnAskAsync(ushort ns, ManifestAsk ask, Deadline deadline)
    {
        while (true)
        {
            if (!recall.Sequences.FindOrAdd(ns, ask.Name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                return held.Newer(grain, ask.Epoch, ask.Version);
            }
            finally
            {
                RecallService.RetireFrom(recall.Sequences, grain);
                grain.Turns.Leave();
            }
        }
    }

    /// <summary>Takes a manifest in.</summary>
    /// <param name="from">The silo that sends it.</param>
    /// <param name="epoch">Epoch of its map; this silo's is as new.</param>
    /// <param name="message">The manifest.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<KvError?> OnPutAsync(string from, long epoch, ManifestMessage message, Deadline deadline)
    {
        if (!recall.OpenNamespace(message.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        string name = message.Manifest.Name;
        BlockId group = BlockGroups.OfSequence(message.Namespace.Id, name);
        if (message.Reason == ManifestReason.Create) return await OnCreateAsync(ns, message, deadline);
        if (message.Reason == ManifestReason.Change && peers.OwnerOf(group) != from)
        {
            return new KvError(
                ErrorCode.Fenced, "sequence", $"owner {from} of epoch {epoch}", $"{peers.OwnerOf(group)} in epoch {peers.Epoch}");
        }

        while (true)
        {
            if (!recall.Sequences.FindOrAdd(ns, name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                (long heldEpoch, long heldVersion) = held.HeldBy(grain);
                if (held.HasAny(grain) && !message.Manifest.IsNewerThan(heldEpoch, heldVersion))
                {
                    bool isSame = heldEpoch == message.Manifest.Epoch && heldVersion == message.Manifest.Version;
                    return isSame || message.Reason == ManifestReason.HandOver
                        ? null
                        : new KvError(
                            ErrorCode.Fenced, "sequence", $"epoch {message.Manifest.Epoch}", $"epoch {heldEpoch}, version {heldVersion}");
                }

                // A silo that owns the sequence and has taken it over believes nobody else.
                if (grain.ActiveEpoch == peers.Epoch && grain.ActiveEpoch != 0 && peers.OwnerOf(group) == peers.Self) return null;
                if (message.Keep > 0 && (grain.State is null || grain.Epoch != message.BaseEpoch || grain.Version != message.BaseVersion))
                    return new KvError(ErrorCode.Conflict, "manifest.base", $"{heldVersion}", $"{message.BaseVersion}");
                return await held.InstallAsync(grain, message, deadline);
            }
            finally
            {
                RecallService.RetireFrom(recall.Sequences, grain);
                grain.Turns.Leave();
            }
        }
    }

    /// <summary>Has the owner of a name make a sequence of a manifest.</summary>
    internal async ValueTask<KvError?> CreateAsync(string owner, ManifestMessage message, string from, Deadline deadline) =>
        owner == peers.Self
            ? await OnPutAsync(from, peers.Epoch, message, deadline)
            : (await caller.CallAsync(owner, PartOps.Put, message.Write(), default, deadline)).Error;

    private async ValueTask<KvError?> OnCreateAsync(ushort ns, ManifestMessage message, Deadline deadline)
    {
        string name = message.Manifest.Name;
        while (true)
        {
            if (await keeper.AdmitAsync(ns, name, change: true, deadline) is { } refused) return refused;
            if (!recall.Sequences.FindOrAdd(ns, name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                if (grain.State is not null) return KvError.InvalidArgument("newName", name, "a name that is free");
                Result<SequenceManifest> local = await recall.SegmentsOfAsync(message.Manifest, message.Blocks, deadline);
                if (!local.TryGet(out SequenceManifest? manifest, out KvError? error)) return error;
                if (await keeper.SaveAsync(grain, new SequenceChange(manifest, null, 0, message.Blocks), deadline) is { } notSaved)
                {
                    recall.Manifests.Drop(manifest.Segments);
                    return notSaved;
                }

                recall.SetFrom(grain, manifest, message.Blocks);
                return null;
            }
            finally
            {
                RecallService.RetireFrom(recall.Sequences, grain);
                grain.Turns.Leave();
            }
        }
    }
}
