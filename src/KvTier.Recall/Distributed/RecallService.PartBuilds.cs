using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Building parts: their digests, and the checks of blocks that are appended.</summary>
public sealed partial class RecallService
{
    /// <summary>Brings blocks here that others still have; null outside of a cluster. Takes the namespace, blocks, their groups and the
    /// time, and says how many came.</summary>
    internal Func<ushort, ReadOnlyMemory<BlockId>, ReadOnlyMemory<BlockId>, TimeSpan, ValueTask<int>>? ReadThrough { get; set; }

    /// <summary>Builds a part, or finds that it is there.</summary>
    /// <returns>What it is; <see cref="ErrorCode.Conflict"/> when what it begins with is not here.</returns>
    internal ValueTask<Result<PartBuilt>> BuildPartAsync(PartBuild build, TimeSpan deadline) =>
        GuardAsync(limit => BuildPartCoreAsync(build, limit), deadline);

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
        var reserved = new DigestReservation(more => MakeRoom(more, grain), grain, () => begun.DigestBytes);
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
                Result<uint[]> learnt = await LearnAsync(grain.Namespace, begun, positions, build, reserved, deadline);
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
                if (reserved.Settle() is { } noRoom) return noRoom;
                if (!build.Learns)
                {
                    long tokens = blocks.Length == 0 ? 0 : ((long)(blocks.Length - 1) * begun.Layout.BlockTokens) + build.LastTokens;
                    begun.RestorePart(blocks, positions, tokens, build.Keep);
                }

                begun.Stamp = stamp;
                taken = true;
                grain.State?.Dispose();
                grain.Memory.Reuse.Clear();
                reserved.HandOver();
                Show(grain, begun);
            }

            if (await loader.LoadAsync(grain, grain.State!, more => MakeRoom(more, grain), deadline) is { } notLoaded) return notLoaded;
            return new PartBuilt(stamp, crcs, AbsentOf(grain.Namespace, build), grain.Info!.DigestBytes, grain.Info.QuarantinedChunks);
        }
        finally
        {
            if (!taken) begun.Dispose();
            digestBytes.Add(-reserved.Bytes);
        }
    }

    /// <summary>Builds blocks that are appended, and learns their checks.</summary>
    private async ValueTask<Result<uint[]>> LearnAsync(
        ushort ns, SequenceState begun, int[] positions, PartBuild build, DigestReservation reserved, Deadline deadline)
    {
        var crcs = new uint[build.Ids.Length];
        var added = new List<SequenceBlock>(begun.Blocks.Take(build.Keep));
        for (int i = 0; i < crcs.Length; i++)
        {
            if (reserved.SettleOften(i) is { } noRoom) return noRoom;
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
}
