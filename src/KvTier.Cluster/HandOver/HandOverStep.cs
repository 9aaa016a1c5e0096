namespace KvTier.Cluster;

/// <summary>Hands one batch of a walk over: asks who has what, pushes what is lacking, drops what is not to be here.</summary>
/// <param name="node">What parts of a node share.</param>
/// <param name="calls">Calls of other silos.</param>
/// <param name="budget">Bytes a second.</param>
/// <param name="state">Which mutable values are right here.</param>
/// <param name="attempts">How often the same walk was tried before.</param>
internal sealed class HandOverStep(NodeContext node, PeerCalls calls, CopyBudget budget, MutableState state, int attempts)
{
    /// <summary>Silos that are dealt with at a time.</summary>
    private const int TargetsMax = 8;

    /// <summary>After so many tries a silo no longer leaves the pushing to a holder that has the block, nor waits for room.</summary>
    private const int PatienceMax = 5;

    /// <summary>Runs the step.</summary>
    /// <returns>True when nothing is left to be done for its blocks.</returns>
    public async ValueTask<bool> RunAsync(HandOverBatch batch)
    {
        int self = batch.Map.IndexOf(node.Self);
        List<int> targets = batch.Targets(self);
        if (batch.Descriptor.IsMutable) return await EachAsync(targets, target => OfferAsync(batch, target));
        await EachAsync(targets, target => AskAsync(batch, target));
        foreach (ref HandOverItem item in batch.Items) item.Decide();
        bool complete = await EachAsync(targets, target => PushAsync(batch, target));
        await EachAsync(targets, target => KeepAsync(batch, target));
        for (int i = 0; i < batch.Count; i++) complete &= Finish(batch, i);
        return complete;
    }

    private static async ValueTask<bool> EachAsync(List<int> targets, Func<int, ValueTask<bool>> action)
    {
        bool all = true;
        for (int i = 0; i < targets.Count; i += TargetsMax)
        {
            IEnumerable<int> some = targets.Skip(i).Take(TargetsMax);
            bool[] results = await Task.WhenAll(some.Select(target => action(target).AsTask()).ToList());
            all &= results.All(result => result);
        }

        return all;
    }

    private async ValueTask<bool> AskAsync(HandOverBatch batch, int target)
    {
        (int Item, int Rank)[] asked = Lacking(batch, target, onlyOwn: false);
        BlockId[] ids = [.. asked.Select(each => batch[each.Item].Block.Id)];
        Result<Answered<bool[]>> answer =
            await calls.HaveAsync(batch.Map.Silos[target], batch.Map, batch.Descriptor.Id, ids, node.Options.PeerDeadline);
        if (!answer.IsOk) return false;
        for (int i = 0; i < asked.Length; i++)
        {
            ref HandOverItem item = ref batch[asked[i].Item];
            Interlocked.Or(ref item.Answered, 1 << asked[i].Rank);
            if (answer.Value.Value[i]) Interlocked.Or(ref item.Has, 1 << asked[i].Rank);
        }

        return true;
    }

    /// <summary>Asks a silo whether it has what is to be dropped here as safely as it can.</summary>
    private async ValueTask<bool> KeepAsync(HandOverBatch batch, int target)
    {
        var asked = new List<(int Item, int Rank)>();
        for (int i = 0; i < batch.Count; i++)
        {
            int rank = batch[i].Holders.RankOf(target);
            if (rank >= 0 && batch[i].OwnRank < 0 && batch[i].IsDone) asked.Add((i, rank));
        }

        if (asked.Count == 0) return true;
        BlockId[] ids = [.. asked.Select(each => batch[each.Item].Block.Id)];
        Result<Answered<bool[]>> answer = await calls.HaveAsync(
            batch.Map.Silos[target], batch.Map, batch.Descriptor.Id, ids, node.Options.PeerDeadline, BlockOps.Keep);
        for (int i = 0; i < asked.Count; i++)
        {
            if (answer.IsOk && answer.Value.Value[i]) Interlocked.Or(ref batch[asked[i].Item].Kept, 1 << asked[i].Rank);
        }

        return answer.IsOk;
    }

    /// <summary>Offers mutable values to their owner, which fetches those that it does not know better, and drops them here.</summary>
    private async ValueTask<bool> OfferAsync(HandOverBatch batch, int target)
    {
        (int Item, int Rank)[] lacking = [.. Lacking(batch, target, onlyOwn: false)
            .Where(each => batch[each.Item].OwnRank >= 0 || !state.DropForfeit(batch.Handle, batch[each.Item].Block.Id))];
        (int Item, int Rank)[] offered = [.. lacking.Where(each => !state.IsInDoubt(batch.Handle, batch[each.Item].Block.Id))];
        if (offered.Length == 0) return lacking.Length == 0;
        await budget.TakeAsync(offered.Sum(each => (long)batch[each.Item].Block.Length));
        BlockId[] ids = [.. offered.Select(each => batch[each.Item].Block.Id)];
        Result<Answered<bool[]>> answer =
            await calls.OfferAsync(batch.Map.Silos[target], batch.Map, batch.Descriptor, ids, node.Options.PeerDeadline);
        if (!answer.IsOk) return false;
        bool complete = offered.Length == lacking.Length;
        for (int i = 0; i < offered.Length; i++)
        {
            if (answer.Value.Value[i])
            {
                Interlocked.Or(ref batch[offered[i].Item].Has, 1 << offered[i].Rank);
                Interlocked.Or(ref batch[offered[i].Item].Kept, 1 << offered[i].Rank);
            }

            complete &= Finish(batch, offered[i].Item);
        }

        return complete;
    }

    /// <summary>Pushes to a silo what it lacks and this silo is the one to push.</summary>
    private async ValueTask<bool> PushAsync(HandOverBatch batch, int target)
    {
        (int Item, int Rank)[] lacking = Lacking(batch, target, onlyOwn: true);
        for (int start = 0; start < lacking.Length;)
        {
            int end = start;
            long bytes = 0;
            while (end < lacking.Length && (end == start || bytes + batch[lacking[end].Item].Block.Length <= Pushing.BytesMax)
                && end - start < Pushing.BlocksMax)
                bytes += batch[lacking[end++].Item].Block.Length;
            if (node.IsStopping || node.Map.Epoch != batch.Map.Epoch) return false;
            await budget.TakeAsync(bytes);
            if (!await PushSomeAsync(batch, target, lacking[start..end])) return false;
            start = end;
        }

        return true;
    }

    private async ValueTask<bool> PushSomeAsync(HandOverBatch batch, int target, (int Item, int Rank)[] some)
    {
        BlockId[] ids = [.. some.Select(each => batch[each.Item].Block.Id)];
        for (int start = 0; start < ids.Length;)
        {
            ReadOnlyMemory<BlockId> asked = ids.AsMemory(start);
            using StoredBlocks read = await node.Store.ReadAsync(batch.Handle, asked, node.Options.PeerDeadline);
            start += read.Examined(asked.Length);
            if (read.Blocks.Count == 0) continue;
            var push = new PushBatch(batch.Descriptor, PushRole.HandOver, batch.Map.Epoch, read.Blocks);
            Result<PushReply> reply = await calls.PushAsync(batch.Map.Silos[target], push, node.Options.PeerDeadline);
            if (!reply.TryGet(out PushReply? done, out _)) return false;
            if (done.Epoch > batch.Map.Epoch) await node.CatchUpAsync(done.Epoch, node.Options.CatchUp);
            for (int i = 0; i < read.Blocks.Count; i++) Note(batch, some, read.Blocks[i], done.Statuses[i]);
        }

        return true;
    }

    private void Note(HandOverBatch batch, (int Item, int Rank)[] some, StoredBlock block, PushStatus status)
    {
        NodeCounters counters = node.Counters;
        if (status == PushStatus.Refused) NodeCounters.Add(ref counters.PushesRefused);
        foreach ((int index, int rank) in some)
        {
            ref HandOverItem item = ref batch[index];
            if (item.Block.Id != block.Id) continue;
            if (status == PushStatus.Refused) Interlocked.Or(ref item.Refused, 1 << rank);
            if (status is PushStatus.Stored or PushStatus.Present) Interlocked.Or(ref item.Has, 1 << rank);
            if (status != PushStatus.Stored) return;
            NodeCounters.Add(ref counters.HandedOverBlocks);
            NodeCounters.Add(ref counters.HandedOverBytes, block.Payload.Length);
            return;
        }
    }

    /// <summary>Drops a block that is not to be here once all holders have it.</summary>
    /// <returns>True when nothing is left to be done for it.</returns>
    private bool Finish(HandOverBatch batch, int index)
    {
        ref HandOverItem item = ref batch[index];
        if (!item.IsDone && !node.Faults.DropUnconfirmed)
        {
            // A holder may count on an earlier one that has the block: that one does not settle before all have it.
            if (item.OwnRank >= 0 && !item.IsOwnToPush) return true;
            bool isForWantOfRoom = attempts >= PatienceMax && (item.Has | item.Refused) == item.All;
            return isForWantOfRoom || !node.Store.Has(item.Block.Namespace, item.Block.Id);
        }

        if (item.OwnRank >= 0) return true;
        if (item.Kept != item.All && !node.Faults.DropUnconfirmed) return false;
        node.Moves.Dropping(item.Block.Group);
        NodeCounters counters = node.Counters;
        lock (node.DropGate)
        {
            if (node.Map.Epoch != batch.Map.Epoch) return false;
            node.Store.Drop(item.Block.Namespace, item.Block.Id, MissReason.Moved);
        }

        NodeCounters.Add(ref counters.Dropped);
        return true;
    }

    private (int Item, int Rank)[] Lacking(HandOverBatch batch, int target, bool onlyOwn)
    {
        var found = new List<(int, int)>();
        for (int i = 0; i < batch.Count; i++)
        {
            ref HandOverItem item = ref batch[i];
            int rank = item.Holders.RankOf(target);
            if (rank < 0 || (item.Has & (1 << rank)) != 0) continue;
            if (onlyOwn && ((item.Answered & (1 << rank)) == 0 || !(item.IsOwnToPush || attempts >= PatienceMax))) continue;
            found.Add((i, rank));
        }

        return [.. found];
    }
}
