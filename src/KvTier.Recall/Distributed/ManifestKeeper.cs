namespace KvTier.Recall;

/// <summary>
/// Keeps the manifests of sequences that this silo owns: it takes a sequence over with the newest manifest that anybody has, and a change
/// reaches all holders before it is acknowledged. Thread-safe.
/// </summary>
internal sealed class ManifestKeeper(RecallService recall, IPartPeers peers, PartCaller caller, HeldManifests held)
{
    private ClosedSequences Closed => held.Closed;

    /// <summary>Makes sure that this silo owns a sequence in the epoch of its map, and has its newest manifest.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="change">True when it is to be changed.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<KvError?> AdmitAsync(ushort ns, string name, bool change, Deadline deadline)
    {
        BlockId group = BlockGroups.OfSequence(recall.Engine.Namespaces[ns].Id, name);
        while (true)
        {
            if (peers.Refuse(ns, group, change) is { } refused) return refused;
            if (Closed.IsAbsent(ns, name, peers.Epoch)) return null;
            if (!recall.Sequences.FindOrAdd(ns, name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                return await TakeOverAsync(grain, group, deadline);
            }
            finally
            {
                RecallService.RetireFrom(recall.Sequences, grain);
                grain.Turns.Leave();
            }
        }
    }

    /// <summary>Keeps a change. In the sequence's turn.</summary>
    internal async ValueTask<KvError?> SaveAsync(SequenceGrain grain, SequenceChange change, Deadline deadline)
    {
        NamespaceDescriptor ns = recall.Engine.Namespaces[grain.Namespace];
        BlockId group = BlockGroups.OfSequence(ns.Id, grain.Name);
        if (peers.Refuse(grain.Namespace, group, change: true) is { } refused) return refused;
        if (grain.State is null && Closed.IsAbsent(grain.Namespace, grain.Name, peers.Epoch)) grain.ActiveEpoch = peers.Epoch;
        if (grain.ActiveEpoch != peers.Epoch) return EpochChanged(grain);
        (_, long closedVersion) = Closed.Find(grain.Namespace, grain.Name);
        grain.LastVersion = Math.Max(Math.Max(grain.LastVersion, grain.Version), closedVersion) + 1;
        SequenceManifest manifest = change.Manifest with { Epoch = grain.ActiveEpoch, Version = grain.LastVersion };
        var message = new ManifestMessage
        {
            Namespace = ns,
            Reason = ManifestReason.Change,
            Manifest = manifest,
            Keep = change.Keep,
            BaseEpoch = grain.Epoch,
            BaseVersion = grain.Version,
            Blocks = change.Added,
        };
        string[] others = [.. peers.HoldersOf(grain.Namespace, group).Where(silo => silo != peers.Self)];
        KvError?[] errors = await Task.WhenAll(others.Select(silo => PutAsync(silo, message, grain, deadline).AsTask()));
        if (Array.Find(errors, error => error is not null) is { } notKept) return notKept;
        if (await recall.Manifests.SaveAsync(manifest, change.Before, deadline) is { } notSaved) return notSaved;
        if (peers.Refuse(grain.Namespace, group, change: true) is { } lost)
        {
            // The change may come back with the next owner, as one may that was not answered; here it was not made.
            await recall.Manifests.UndoAsync(manifest, change.Before);
            return lost;
        }

        (grain.Epoch, grain.Version, grain.Places) = (manifest.Epoch, manifest.Version, null);
        if (manifest.IsClosed) Closed.Add(grain.Namespace, grain.Name, manifest);
        else Closed.Remove(grain.Namespace, grain.Name);
        return null;
    }

    private static KvError EpochChanged(SequenceGrain grain) =>
        new(ErrorCode.Conflict, "epoch", grain.Name, "that in which it was taken over");

    private async ValueTask<KvError?> TakeOverAsync(SequenceGrain grain, BlockId group, Deadline deadline)
    {
        long epoch = peers.Epoch;
        if (grain.ActiveEpoch == epoch) return null;
        (long heldEpoch, long heldVersion) = held.HeldBy(grain);
        var ask = new ManifestAsk(recall.Engine.Namespaces[grain.Namespace].Id, grain.Name, heldEpoch, heldVersion);
        string[] others = [.. peers.MayHave(grain.Namespace, group).Where(silo => silo != peers.Self)];
        Task<Result<PartMessage>>[] calls =
            [.. others.Select(silo => caller.CallAsync(silo, PartOps.Ask, ask.Write(), default, deadline).AsTask())];
        await Task.WhenAll(calls);
        ManifestMessage? newest = null;
        for (int i = 0; i < calls.Length; i++)
        {
            if (!(await calls[i]).TryGet(out PartMessage? reply, out KvError? error))
            {
                // A silo that never heard of the namespace has nothing of its sequences.
                if (error.Code == ErrorCode.NamespaceUnknown) continue;
                return error.Code == ErrorCode.DeadlineExceeded
                    ? error
                    : new KvError(
                        ErrorCode.Unavailable, "sequence", $"{others[i]}: {error.Message}", "an answer of all who may have its manifest");
            }

            if (reply.Body.IsEmpty) continue;
            if (ManifestMessage.Read(reply.Body.Span) is not { } message)
                return new KvError(ErrorCode.Corrupt, "peer.body", others[i], "the record of a manifest");
            if (newest is null || message.Manifest.IsNewerThan(newest.Manifest.Epoch, newest.Manifest.Version)) newest = message;
        }

        if (newest is not null && await held.InstallAsync(grain, newest, deadline) is { } notInstalled) return notInstalled;
        if (peers.Epoch != epoch) return EpochChanged(grain);
        grain.ActiveEpoch = epoch;
        if (grain.State is null) Closed.NoteAbsent(grain.Namespace, grain.Name, epoch);
        return null;
    }

    private async ValueTask<KvError?> PutAsync(string silo, ManifestMessage message, SequenceGrain grain, Deadline deadline)
    {
        KvError? error = (await caller.CallAsync(silo, PartOps.Put, message.Write(), default, deadline)).Error;
        if (error is not { Code: ErrorCode.Conflict, Field: "manifest.base" }) return error;
        IReadOnlyList<SequenceBlock> all = [.. grain.State!.Blocks.Take(message.Keep), .. message.Blocks];
        ManifestMessage whole = message with { Keep = 0, BaseEpoch = 0, BaseVersion = 0, Blocks = all };
        return (await caller.CallAsync(silo, PartOps.Put, whole.Write(), default, deadline)).Error;
    }

}
