namespace KvTier.Recall;

/// <summary>
/// Keeps manifests where they belong: an owner takes a sequence over with the newest manifest that anybody has, a change reaches all
/// holders before it is acknowledged, and what a silo is not to hold any more goes to those who are. Thread-safe.
/// </summary>
internal sealed class ManifestKeeper(RecallService recall, IPartPeers peers, PartCaller caller)
{
    private readonly ClosedSequences closed = new();

    /// <summary>Sequences that were closed.</summary>
    internal ClosedSequences Closed => closed;

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
            if (closed.IsAbsent(ns, name, peers.Epoch)) return null;
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
        if (grain.State is null && closed.IsAbsent(grain.Namespace, grain.Name, peers.Epoch)) grain.ActiveEpoch = peers.Epoch;
        if (grain.ActiveEpoch != peers.Epoch) return EpochChanged(grain);
        (_, long closedVersion) = closed.Find(grain.Namespace, grain.Name);
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
        if (manifest.IsClosed) closed.Add(grain.Namespace, grain.Name, manifest);
        else closed.Remove(grain.Namespace, grain.Name);
        return null;
    }

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
                return Newer(grain, ask.Epoch, ask.Version);
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
                (long heldEpoch, long heldVersion) = HeldBy(grain);
                if (HasAny(grain) && !message.Manifest.IsNewerThan(heldEpoch, heldVersion))
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
                return await InstallAsync(grain, message, deadline);
            }
            finally
            {
                RecallService.RetireFrom(recall.Sequences, grain);
                grain.Turns.Leave();
            }
        }
    }

    /// <summary>Brings one sequence's manifest to those who are to hold it, and drops it here when this silo is not to. Its turn is not
    /// held meanwhile, as those who are asked may ask this silo.</summary>
    /// <returns>True when that is done.</returns>
    internal async ValueTask<bool> SettleAsync(SequenceGrain grain, Deadline deadline)
    {
        if (grain.Info is null) return true;
        long epoch = peers.Epoch;
        BlockId group = BlockGroups.OfSequence(recall.Engine.Namespaces[grain.Namespace].Id, grain.Name);
        IReadOnlyList<string> holders = peers.HoldersOf(grain.Namespace, group);
        bool holds = holders.Contains(peers.Self);
        if (holders.Count == 0 || (holds && holders[0] != peers.Self)) return true;
        ManifestMessage? message = null;
        Action take = () => message = grain.State is null ? null : Whole(grain, ManifestReason.HandOver);
        if (await InTurnAsync(grain, take, deadline) is not null) return false;
        if (message is null) return true;
        foreach (string silo in holders.Where(silo => silo != peers.Self))
        {
            if ((await caller.CallAsync(silo, PartOps.Put, message.Write(), default, deadline)).Error is not null) return false;
        }

        if (peers.Epoch != epoch) return false;
        return holds || await ForgetAsync(grain, message.Manifest, deadline);
    }

    /// <summary>Tells those who are to hold them of sequences that were closed.</summary>
    /// <returns>How many could not be told.</returns>
    internal async ValueTask<int> SettleClosedAsync(Deadline deadline)
    {
        int left = 0;
        foreach ((ushort ns, SequenceManifest manifest) in closed.NotTold(peers.Epoch))
        {
            NamespaceDescriptor descriptor = recall.Engine.Namespaces[ns];
            BlockId group = BlockGroups.OfSequence(descriptor.Id, manifest.Name);
            IReadOnlyList<string> holders = peers.HoldersOf(ns, group);
            bool isTold = true;
            if (!holders.Contains(peers.Self) || holders[0] == peers.Self)
            {
                var message = new ManifestMessage
                {
                    Namespace = descriptor,
                    Reason = ManifestReason.HandOver,
                    Manifest = manifest,
                    Blocks = [],
                };
                foreach (string silo in holders.Where(silo => silo != peers.Self))
                    isTold &= (await caller.CallAsync(silo, PartOps.Put, message.Write(), default, deadline)).IsOk;
            }

            if (isTold) closed.NoteTold(ns, manifest.Name, peers.Epoch);
            else left++;
        }

        return left;
    }

    /// <summary>Has the owner of a name make a sequence of a manifest.</summary>
    internal async ValueTask<KvError?> CreateAsync(string owner, ManifestMessage message, string from, Deadline deadline) =>
        owner == peers.Self
            ? await OnPutAsync(from, peers.Epoch, message, deadline)
            : (await caller.CallAsync(owner, PartOps.Put, message.Write(), default, deadline)).Error;

    /// <summary>A grain's manifest with all its blocks. In its turn.</summary>
    internal ManifestMessage Whole(SequenceGrain grain, ManifestReason reason) => new()
    {
        Namespace = recall.Engine.Namespaces[grain.Namespace],
        Reason = reason,
        Manifest = recall.ManifestOf(grain, grain.State!),
        Blocks = [.. grain.State!.Blocks],
    };

    private static KvError EpochChanged(SequenceGrain grain) =>
        new(ErrorCode.Conflict, "epoch", grain.Name, "that in which it was taken over");

    private async ValueTask<KvError?> TakeOverAsync(SequenceGrain grain, BlockId group, Deadline deadline)
    {
        long epoch = peers.Epoch;
        if (grain.ActiveEpoch == epoch) return null;
        (long heldEpoch, long heldVersion) = HeldBy(grain);
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

        if (newest is not null && await InstallAsync(grain, newest, deadline) is { } notInstalled) return notInstalled;
        if (peers.Epoch != epoch) return EpochChanged(grain);
        grain.ActiveEpoch = epoch;
        if (grain.State is null) closed.NoteAbsent(grain.Namespace, grain.Name, epoch);
        return null;
    }

    private async ValueTask<KvError?> OnCreateAsync(ushort ns, ManifestMessage message, Deadline deadline)
    {
        string name = message.Manifest.Name;
        while (true)
        {
            if (await AdmitAsync(ns, name, change: true, deadline) is { } refused) return refused;
            if (!recall.Sequences.FindOrAdd(ns, name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                if (grain.State is not null) return KvError.InvalidArgument("newName", name, "a name that is free");
                Result<SequenceManifest> local = await recall.SegmentsOfAsync(message.Manifest, message.Blocks, deadline);
                if (!local.TryGet(out SequenceManifest? manifest, out KvError? error)) return error;
                if (await SaveAsync(grain, new SequenceChange(manifest, null, 0, message.Blocks), deadline) is { } notSaved)
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

    private bool HasAny(SequenceGrain grain) =>
        grain.State is not null || closed.ManifestOf(grain.Namespace, grain.Name) is not null;

    private (long Epoch, long Version) HeldBy(SequenceGrain grain) =>
        grain.State is null ? closed.Find(grain.Namespace, grain.Name) : (grain.Epoch, grain.Version);

    private ManifestMessage? Newer(SequenceGrain grain, long epoch, long version)
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

    private async ValueTask<KvError?> PutAsync(string silo, ManifestMessage message, SequenceGrain grain, Deadline deadline)
    {
        KvError? error = (await caller.CallAsync(silo, PartOps.Put, message.Write(), default, deadline)).Error;
        if (error is not { Code: ErrorCode.Conflict, Field: "manifest.base" }) return error;
        IReadOnlyList<SequenceBlock> all = [.. grain.State!.Blocks.Take(message.Keep), .. message.Blocks];
        ManifestMessage whole = message with { Keep = 0, BaseEpoch = 0, BaseVersion = 0, Blocks = all };
        return (await caller.CallAsync(silo, PartOps.Put, whole.Write(), default, deadline)).Error;
    }

    /// <summary>Takes the place of what is here. In the sequence's turn.</summary>
    private async ValueTask<KvError?> InstallAsync(SequenceGrain grain, ManifestMessage message, Deadline deadline)
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
    private async ValueTask<bool> ForgetAsync(SequenceGrain grain, SequenceManifest given, Deadline deadline)
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

    private static async ValueTask<KvError?> InTurnAsync(SequenceGrain grain, Action work, Deadline deadline)
    {
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        work();
        grain.Turns.Leave();
        return null;
    }
}
