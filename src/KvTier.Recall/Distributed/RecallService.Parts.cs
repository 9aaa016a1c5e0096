using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Parts: what this silo has of the sequences of the cluster, in memory only.</summary>
public sealed partial class RecallService
{
    private long uses;

    /// <summary>Brings blocks here that others still have; null outside of a cluster. Takes the namespace, blocks, their groups and the
    /// time, and says how many came.</summary>
    internal Func<ushort, ReadOnlyMemory<BlockId>, ReadOnlyMemory<BlockId>, TimeSpan, ValueTask<int>>? ReadThrough { get; set; }

    /// <summary>Parts held.</summary>
    internal int PartCount => parts.Count;

    /// <summary>The engine.</summary>
    internal BlockEngine Engine => engine;

    /// <summary>Finds the handle of a namespace.</summary>
    internal Result<ushort> HandleOf(NamespaceId id)
    {
        IReadOnlyList<NamespaceDescriptor> all = engine.Namespaces;
        for (ushort ns = 0; ns < all.Count; ns++)
        {
            if (all[ns].Id == id) return ns;
        }

        return new KvError(ErrorCode.NamespaceUnknown, "namespace", id.ToString());
    }

    /// <summary>Builds a part, or finds that it is there.</summary>
    /// <returns>What it is; <see cref="ErrorCode.Conflict"/> when what it begins with is not here.</returns>
    internal ValueTask<Result<PartBuilt>> BuildPartAsync(PartBuild build, TimeSpan deadline) =>
        GuardAsync(limit => BuildPartCoreAsync(build, limit), deadline);

    /// <summary>Recalls over parts.</summary>
    /// <param name="request">Units are counted in the parts.</param>
    /// <param name="ask">What the parts must be, and what is chosen.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The answer; <see cref="ErrorCode.Conflict"/> when a part is another one.</returns>
    internal ValueTask<Result<RecallAnswer>> RecallPartsAsync(RecallRequest request, PartAsk ask, TimeSpan deadline) =>
        GuardAsync(limit => RecallCoreAsync(request, parts, ask, limit), deadline);

    /// <summary>Scores parts, and ranks their units where that needs no word of the others.</summary>
    /// <param name="from">The silo that asks.</param>
    /// <param name="request">Units are counted in the parts.</param>
    /// <param name="score">What is asked.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>A report for each KV head of each item, and each item's cost.</returns>
    internal ValueTask<Result<(HeadReport[] Heads, RecallCost[] Costs)>> ScorePartsAsync(
        string from, RecallRequest request, PartScore score, TimeSpan deadline) =>
        GuardAsync(limit => ScorePartsCoreAsync(from, request, score, limit), deadline);

    /// <summary>Ranks what was scored.</summary>
    /// <returns>The ranks of each KV head of each item; <see cref="ErrorCode.Conflict"/> when the scores are gone.</returns>
    internal Result<RankedUnits[][]> RankParts(string from, PartRank rank)
    {
        if (sessions.Find(from, rank.Session) is not { } session) return new KvError(ErrorCode.Conflict, "session", $"{rank.Session}");
        int queries = session.Tables[0].Queries;
        if (rank.Totals.Length != session.Tables.Length * queries)
            return KvError.InvalidArgument("rank.totals", rank.Totals.Length, $"{session.Tables.Length * queries}");
        for (int i = 0; i < session.Tables.Length; i++)
        {
            ScoreTable scores = session.Tables[i];
            for (int q = 0; q < queries; q++)
            {
                float scale = MathF.Exp(rank.Maxima[(i * queries) + q] - scores.Maxima[q]);
                float total = rank.Totals[(i * queries) + q] * scale;
                scores.Totals[q] = float.IsFinite(total) ? total : 0;
            }
        }

        var ranks = new RankedUnits[session.Tables.Length][];
        pool.Run(new PartRankWork(session, ranks), ranks.Length);
        if (!session.Selector.Estimate) sessions.Remove(from, rank.Session);
        return ranks;
    }

    /// <summary>The scores of a session, by item.</summary>
    internal ArraySegment<ScoreTable>[] TablesOf(string from, PartRecall recall, int heads)
    {
        ScoreSession? session = recall.Session == 0 ? null : sessions.Find(from, recall.Session);
        return [.. recall.Items.Select(item => session is not null && item.Scored >= 0 && (item.Scored + 1) * heads <= session.Tables.Length
            ? new ArraySegment<ScoreTable>(session.Tables, item.Scored * heads, heads)
            : ArraySegment<ScoreTable>.Empty)];
    }

    /// <summary>Ends a session.</summary>
    internal void EndSession(string from, long session) => sessions.Remove(from, session);

    /// <summary>Drops a part; a sequence that was closed has none.</summary>
    internal async ValueTask DropPartAsync(ushort ns, string name, TimeSpan deadline)
    {
        if (parts.Find(ns, name) is not { } grain || await grain.Turns.EnterAsync(new Deadline(time, deadline)) is not null) return;
        DropInTurn(grain);
        grain.Turns.Leave();
    }

    private async ValueTask<Result<(HeadReport[] Heads, RecallCost[] Costs)>> ScorePartsCoreAsync(
        string from, RecallRequest request, PartScore score, Deadline deadline)
    {
        if (RecallChecks.Check(request, engine.Namespaces[request.Namespace].Profile, options) is { } wrong) return wrong;
        var run = new RecallRun();
        int entered = 0;
        try
        {
            run.Begin(request, new BlockLayout(engine.Namespaces[request.Namespace].Profile));
            if (FindGrains(run, parts) is { } notThere) return new KvError(ErrorCode.Conflict, "part", notThere.Value);
            for (; entered < run.Grains.Count; entered++)
            {
                if (await run.Grains[entered].Turns.EnterAsync(deadline) is { } late) return late;
            }

            var ask = new PartAsk([.. score.Recall.Items.Select(item => item.Stamp)]);
            if ((ask.Check(run) ?? BeginItems(run, ask) ?? CheckMaps(run, score)) is { } changed) return changed;
            foreach (SequenceGrain grain in run.Grains) grain.LastUse = Interlocked.Increment(ref uses);
            return Score(from, run, score);
        }
        finally
        {
            run.End(engine, hot, device);
            for (int i = 0; i < entered; i++) run.Grains[i].Turns.Leave();
        }
    }

    private static KvError? CheckMaps(RecallRun run, PartScore score)
    {
        for (int i = 0; i < run.ItemCount; i++)
        {
            if (score.MapBlocks[i] != 0 && run[i].Digest is ChunkIndex { Maps: { } maps } && maps.Blocks != score.MapBlocks[i])
                return new KvError(ErrorCode.Conflict, "maps", run[i].Item.Sequence);
        }

        return null;
    }

    private Result<(HeadReport[] Heads, RecallCost[] Costs)> Score(string from, RecallRun run, PartScore score)
    {
        int heads = run.ItemCount * run.KvHeads;
        ScoreTable[] tables = [.. Enumerable.Range(0, heads).Select(_ => sessions.Rent())];
        var scores = new HeadScores[heads];
        for (int i = 0; i < run.ItemCount; i++) run[i].BeginScore();
        pool.Run(new PartScoreWork(run, tables, scores), heads);
        Selector selector = run.Request.Selector;
        bool ranked = !RankRule.NeedsMass(selector);
        int most = selector.Digest.Kind is DigestKind.Centroids or DigestKind.Vq ? int.MaxValue : score.Most;
        var session = new ScoreSession(selector, most, tables, time.GetTimestamp());
        var ranks = new RankedUnits[heads][];
        if (ranked) pool.Run(new PartRankWork(session, ranks), heads);
        HeadReport[] reports = [.. scores.Select((each, i) => HeadReport.Of(each, tables[i], ranked, ranked ? ranks[i] : []))];
        RecallCost[] costs = [.. Enumerable.Range(0, run.ItemCount).Select(i => new RecallCost(
            run[i].Choice.UnitsScored, run[i].Choice.DigestBytes, 0, 0, 0, 0, Reused: false, Certified: true))];
        if (!score.Keeps)
        {
            sessions.Return(tables);
            return (reports, costs);
        }

        return sessions.Add(from, score.Recall.Session, session) is { } full ? full : (reports, costs);
    }

    private async ValueTask<Result<PartBuilt>> BuildPartCoreAsync(PartBuild build, Deadline deadline)
    {
        if (!HandleOf(build.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        ModelProfile profile = engine.Namespaces[ns].Profile;
        if (CheckName("sequence", build.Name) is { } wrongName) return wrongName;
        if (CheckOpen(profile, build.Digests, build.Rotation) is { } wrong) return wrong;
        if (build.LastTokens > profile.BlockTokens)
            return KvError.InvalidArgument("part.lastTokens", build.LastTokens, "tokens of a block");
        SequenceState? begun = null;
        if (build.Keep > 0)
        {
            Result<SequenceState> result = await BeginPartAsync(ns, build, profile, deadline);
            if (!result.TryGet(out begun, out KvError? other)) return other;
        }

        while (true)
        {
            if (!parts.FindOrAdd(ns, build.Name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return Fail(begun, full);
            if (await grain.Turns.EnterAsync(deadline) is { } late) return Fail(begun, late);
            try
            {
                if (grain.IsRetired) continue;
                grain.LastUse = Interlocked.Increment(ref uses);
                begun ??= NewState(profile, build.Digests, build.Rotation, DigestIndex.CreateOfPart);
                return await BuildInTurnAsync(grain, begun, build, deadline);
            }
            finally
            {
                RetireFrom(parts, grain);
                grain.Turns.Leave();
            }
        }
    }

    private static KvError Fail(SequenceState? begun, KvError error)
    {
        begun?.Dispose();
        return error;
    }

    /// <summary>A state with the first blocks of a part that is here.</summary>
    private async ValueTask<Result<SequenceState>> BeginPartAsync(ushort ns, PartBuild build, ModelProfile profile, Deadline deadline)
    {
        var other = new KvError(ErrorCode.Conflict, "part", build.BaseName);
        if (parts.Find(ns, build.BaseName) is not { } grain) return other;
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        try
        {
            if (grain.State is not { } state || state.Stamp != build.BaseStamp || build.Keep > state.Blocks.Count
                || state.Loaded < build.Keep || !state.Specs.SequenceEqual(build.Digests) || state.Rotation != build.Rotation) return other;
            var layout = new BlockLayout(profile);
            var begun = new SequenceState(layout, state.Specs, state.Rotation, state.ForkDigests(build.Keep));
            SequenceBlock[] kept = [.. state.Blocks.Take(build.Keep)];
            begun.RestorePart(kept, [.. kept.Select((_, i) => state.PositionOf(i))], (long)build.Keep * layout.BlockTokens, build.Keep);
            return begun;
        }
        finally
        {
            grain.Turns.Leave();
        }
    }

    private async ValueTask<Result<PartBuilt>> BuildInTurnAsync(
        SequenceGrain grain, SequenceState begun, PartBuild build, Deadline deadline)
    {
        bool taken = false;
        try
        {
            int[] positions = [.. Enumerable.Range(0, build.Keep).Select(begun.PositionOf), .. build.Positions];
            if (positions.Length > options.BlocksMax) return KvError.LimitExceeded("recall.blocksMax", positions.Length, options.BlocksMax);
            if (build.Keep > 0 && build.Ids.Length > 0 && positions[build.Keep - 1] >= build.Positions[0])
                return KvError.InvalidArgument("part.positions", build.Positions[0], "after those that stay");
            await FetchAbsentAsync(grain.Namespace, build, deadline);
            uint[] crcs = build.Crcs;
            if (build.Learns)
            {
                int[] absent = AbsentOf(grain.Namespace, build);
                if (absent.Length > 0) return new PartBuilt(0, [], absent, 0, 0);
                Result<uint[]> learnt = await LearnAsync(grain.Namespace, begun, positions, build, deadline);
                if (!learnt.TryGet(out crcs!, out KvError? error)) return error;
            }

            SequenceBlock[] blocks =
            [
                .. begun.Blocks.Take(build.Keep),
                .. build.Learns
                    ? begun.Blocks.Skip(build.Keep)
                    : build.Ids.Select((id, i) => new SequenceBlock(id, NextBlockNumber(), crcs[i], null)),
            ];
            ulong stamp = StampOf(begun, blocks, positions, build.LastTokens);
            if (grain.State?.Stamp != stamp)
            {
                if (MakeRoom(begun.DigestBytes - grain.AccountedBytes, grain) is { } noRoom) return noRoom;
                if (!build.Learns)
                {
                    long tokens = blocks.Length == 0 ? 0 : ((long)(blocks.Length - 1) * begun.Layout.BlockTokens) + build.LastTokens;
                    begun.RestorePart(blocks, positions, tokens, build.Keep);
                }

                begun.Stamp = stamp;
                taken = true;
                grain.State?.Dispose();
                grain.Memory.Reuse.Clear();
                Show(grain, begun);
            }

            if (await loader.LoadAsync(grain, grain.State!, deadline) is { } notLoaded) return notLoaded;
            Account(grain);
            return new PartBuilt(stamp, crcs, AbsentOf(grain.Namespace, build), grain.Info!.DigestBytes, grain.Info.QuarantinedChunks);
        }
        finally
        {
            if (!taken) begun.Dispose();
        }
    }

    /// <summary>Builds blocks that are appended, and learns their checks.</summary>
    private async ValueTask<Result<uint[]>> LearnAsync(
        ushort ns, SequenceState begun, int[] positions, PartBuild build, Deadline deadline)
    {
        var crcs = new uint[build.Ids.Length];
        var added = new List<SequenceBlock>(begun.Blocks.Take(build.Keep));
        for (int i = 0; i < crcs.Length; i++)
        {
            int tokens = i == crcs.Length - 1 ? build.LastTokens : begun.Layout.BlockTokens;
            Result<(uint PayloadCrc, uint[] Checks)> result = await loader.AddAsync(
                begun, [.. begun.Digests], ns, build.Keep + i, tokens, build.Ids[i], build.Positions[i], $"blocks[{i}]", deadline);
            if (!result.TryGet(out (uint PayloadCrc, uint[] Checks) block, out KvError? error)) return error;
            crcs[i] = block.PayloadCrc;
            added.Add(new SequenceBlock(build.Ids[i], NextBlockNumber(), block.PayloadCrc, block.Checks));
        }

        long all = ((long)(positions.Length - 1) * begun.Layout.BlockTokens) + build.LastTokens;
        begun.RestorePart(added, positions, all, positions.Length);
        return crcs;
    }

    private static ulong StampOf(SequenceState state, SequenceBlock[] blocks, int[] positions, int lastTokens)
    {
        PartStamp stamp = PartStamp.Begin(state.Specs, state.Rotation);
        for (int i = 0; i < blocks.Length; i++) stamp.Add(positions[i], blocks[i]);
        return stamp.End(lastTokens);
    }

    private int[] AbsentOf(ushort ns, PartBuild build) =>
        [.. Enumerable.Range(0, build.Ids.Length).Where(i => engine.Describe(ns, build.Ids[i]).Reason != MissReason.None)];

    /// <summary>Asks those for blocks who had them before, while they may have them.</summary>
    private async ValueTask FetchAbsentAsync(ushort ns, PartBuild build, Deadline deadline)
    {
        if (ReadThrough is null || AbsentOf(ns, build) is not { Length: > 0 } absent) return;
        var byPosition = new Dictionary<int, BlockId>();
        for (int i = 0; i < build.Ids.Length; i++) byPosition[build.Positions[i]] = build.Ids[i];
        BlockId[] ids = [.. absent.Select(i => build.Ids[i])];
        BlockId[] groups = [.. absent.Select(i => byPosition.GetValueOrDefault(BlockGroups.HeadOf(build.Positions[i]), build.Ids[i]))];
        await ReadThrough(ns, ids, groups, deadline.Remaining);
    }

    /// <summary>Drops the parts that were not used for longest until there is room for more digests.</summary>
    private KvError? MakeRoom(long more, SequenceGrain keep)
    {
        if (CheckDigestBytes(more) is null) return null;
        foreach (SequenceGrain grain in parts.All().OrderBy(each => each.LastUse))
        {
            if (grain == keep || !grain.Turns.TryEnter()) continue;
            DropInTurn(grain);
            grain.Turns.Leave();
            if (CheckDigestBytes(more) is null) return null;
        }

        return CheckDigestBytes(more);
    }

    private void DropInTurn(SequenceGrain grain)
    {
        grain.State?.Dispose();
        grain.Set(null);
        Account(grain);
        RetireFrom(parts, grain);
    }

    /// <summary>Takes a grain out that is not open. In its turn only.</summary>
    internal static void RetireFrom(SequenceTable from, SequenceGrain grain)
    {
        if (grain.State is not null) return;
        grain.IsRetired = true;
        from.Remove(grain);
    }
}
