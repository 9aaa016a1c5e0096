namespace KvTier.Cluster;

/// <summary>
/// One move of a group from this silo, its owner, to another one: a state machine whose steps can each be the last. Until the commit the
/// group is this silo's, from then on the other's; what either has of it follows the map by the walks.
/// </summary>
internal sealed class GroupMove(
    NodeContext node, PeerCalls calls, GroupCopy copy, BlockId group, string silo, Func<MigrationStep, BlockId, ValueTask>? onStep)
{
    /// <summary>How often what came meanwhile is copied before the commit; the rest follows after it.</summary>
    private const int CatchUpsMax = 3;

    /// <summary>How often a commit is tried that others came before.</summary>
    private const int CommitsMax = 20;

    private int catchUps;
    private int commits;

    /// <summary>The step that is next.</summary>
    public MigrationStep Step { get; private set; } = MigrationStep.Reserve;

    /// <summary>Takes the steps.</summary>
    /// <returns>Null when the group is the other silo's.</returns>
    public async ValueTask<KvError?> RunAsync(NodeDeadline deadline)
    {
        while (Step != MigrationStep.Done)
        {
            node.Moves.Tell(StageOf(Step), group, silo);
            if (onStep is not null) await onStep(Step, group);
            KvError? error = Check(deadline) ?? await TakeAsync(deadline);
            if (error is null) continue;
            if (Step > MigrationStep.Reserve) await GiveUpAsync();
            if (Step < MigrationStep.LastCatchUp) node.Moves.Tell(MoveStage.GivenUp, group, silo);
            return error;
        }

        node.Moves.Tell(MoveStage.GivenAway, group, silo);
        if (onStep is not null) await onStep(Step, group);
        return null;
    }

    private static MoveStage StageOf(MigrationStep step) => step switch
    {
        MigrationStep.Reserve => MoveStage.Reserve,
        MigrationStep.Copy => MoveStage.Copy,
        MigrationStep.CatchUp => MoveStage.CatchUp,
        MigrationStep.Commit => MoveStage.Switch,
        _ => MoveStage.LastCatchUp,
    };

    private KvError? Check(NodeDeadline deadline)
    {
        ClusterMap map = node.Map;
        if (deadline.Left == TimeSpan.Zero || node.IsStopping) return new KvError(ErrorCode.DeadlineExceeded, "move", $"at {Step}");
        int to = map.IndexOf(silo);
        if (to < 0 || map.Silos[to].Draining) return KvError.InvalidArgument("silo", silo, "a member that does not drain");
        int owner = map.OwnerOf(group);
        if (owner == to)
        {
            if (Step < MigrationStep.LastCatchUp) Step = MigrationStep.LastCatchUp;
            return null;
        }

        return owner == map.IndexOf(node.Self) && Step < MigrationStep.LastCatchUp
            ? null
            : new KvError(ErrorCode.Conflict, "move", $"{group} is {(owner < 0 ? "nobody" : map.Silos[owner].Name)}'s", node.Self);
    }

    private async ValueTask<KvError?> TakeAsync(NodeDeadline deadline)
    {
        switch (Step)
        {
            case MigrationStep.Reserve:
                return Next(await ReserveAsync(deadline), MigrationStep.Copy);
            case MigrationStep.Copy:
                Result<int> first = await CopyAsync(deadline);
                return Next(first.Error, MigrationStep.CatchUp);
            case MigrationStep.CatchUp:
                Result<int> more = await CopyAsync(deadline);
                bool again = more.IsOk && more.Value > 0 && ++catchUps < CatchUpsMax;
                return Next(more.Error, again ? MigrationStep.CatchUp : MigrationStep.Commit);
            case MigrationStep.Commit:
                return await CommitAsync(deadline);
            default:
                // The group is the other's already: what can't be copied now is what the walks are for.
                await CopyAsync(deadline);
                return Next(null, MigrationStep.Done);
        }
    }

    private KvError? Next(KvError? error, MigrationStep next)
    {
        if (error is null) Step = next;
        return error;
    }

    private async ValueTask<KvError?> ReserveAsync(NodeDeadline deadline)
    {
        List<GroupBlocks> blocks = await copy.FindAsync(new HashSet<BlockId> { group });
        long bytes = blocks.Sum(some => some.Blocks.Sum(block => (long)block.Length));
        Result<PeerMessage> answer = await CallAsync(BlockOps.Reserve, bytes, deadline.AtMost(node.Options.PeerDeadline));
        return answer.Error;
    }

    private async ValueTask<Result<int>> CopyAsync(NodeDeadline deadline)
    {
        int copied = 0;
        foreach (GroupBlocks blocks in await copy.FindAsync(new HashSet<BlockId> { group }))
        {
            int to = node.Map.IndexOf(silo);
            if (to < 0) return KvError.InvalidArgument("silo", silo, "a member");
            Result<int> some = await copy.CopyAsync(node.Map.Silos[to], blocks, deadline);
            if (!some.IsOk) return some;
            copied += some.Value;
        }

        return copied;
    }

    private async ValueTask<KvError?> CommitAsync(NodeDeadline deadline)
    {
        ClusterMap map = node.Map;
        int own = map.HomeOf(group);
        bool isHome = own >= 0 && map.Silos[own].Name == silo;
        var change = new ClusterChange(map.Epoch) { Moved = new Dictionary<BlockId, string?> { [group] = isHome ? null : silo } };
        Result<ClusterState> made = await node.Membership.CommitAsync(change, deadline.AtMost(node.Options.PeerDeadline));
        if (made.IsOk)
        {
            Step = MigrationStep.LastCatchUp;
            return null;
        }

        // Another change came first, or nobody knows: the map tells, and this step looks at it anew.
        if (made.Error!.Code is not (ErrorCode.Conflict or ErrorCode.Unavailable or ErrorCode.DeadlineExceeded)
            || ++commits >= CommitsMax)
            return made.Error;
        if (node.Map.Epoch == map.Epoch && !await node.CatchUpAsync(map.Epoch + 1, deadline.Left))
            await node.PauseAsync(TimeSpan.FromMilliseconds(10 + node.Random.Next(40)));
        return null;
    }

    private async ValueTask GiveUpAsync()
    {
        if (!node.IsStopping) await CallAsync(BlockOps.Release, 0, node.Options.PeerDeadline);
    }

    private async ValueTask<Result<PeerMessage>> CallAsync(ushort op, long bytes, TimeSpan deadline)
    {
        ClusterMap map = node.Map;
        int to = map.IndexOf(silo);
        if (to < 0) return KvError.InvalidArgument("silo", silo, "a member");
        return await calls.CallAsync(map.Silos[to], map, op, new ReserveRequest(group, bytes).Write(), deadline);
    }
}
