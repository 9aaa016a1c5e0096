namespace KvTier.Recall;

/// <summary>Brings manifests to those who are to hold them after a change of the map; what a silo is not to hold any more goes there.
/// Thread-safe.</summary>
internal sealed class ManifestSettling(RecallService recall, IPartPeers peers, PartCaller caller, HeldManifests held)
{
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
        Action take = () => message = grain.State is null ? null : held.Whole(grain, ManifestReason.HandOver);
        if (await InTurnAsync(grain, take, deadline) is not null) return false;
        if (message is null) return true;
        foreach (string silo in holders.Where(silo => silo != peers.Self))
        {
            if ((await caller.CallAsync(silo, PartOps.Put, message.Write(), default, deadline)).Error is not null) return false;
        }

        if (peers.Epoch != epoch) return false;
        return holds || await held.ForgetAsync(grain, message.Manifest, deadline);
    }

    /// <summary>Tells those who are to hold them of sequences that were held.Closed.</summary>
    /// <returns>How many could not be told.</returns>
    internal async ValueTask<int> SettleClosedAsync(Deadline deadline)
    {
        int left = 0;
        foreach ((ushort ns, SequenceManifest manifest) in held.Closed.NotTold(peers.Epoch))
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

            if (isTold) held.Closed.NoteTold(ns, manifest.Name, peers.Epoch);
            else left++;
        }

        return left;
    }

    private static async ValueTask<KvError?> InTurnAsync(SequenceGrain grain, Action work, Deadline deadline)
    {
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        work();
        grain.Turns.Leave();
        return null;
    }
}
