namespace KvTier.Recall;

/// <summary>Appending blocks.</summary>
public sealed partial class RecallService
{
    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> AppendAsync(
        ushort ns, string name, ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast, TimeSpan deadline,
        long expectedTokens = -1) =>
        GuardAsync(limit => AppendCoreAsync(ns, name, new Addition(blocks, tokens, replaceLast, expectedTokens), limit), deadline);

    private async ValueTask<Result<SequenceInfo>> AppendCoreAsync(ushort ns, string name, Addition addition, Deadline deadline)
    {
        if (table.Find(ns, name) is not { } grain) return Unknown("sequence", name);
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        try
        {
            if (grain.State is not { } state) return Unknown("sequence", name);
            if (addition.IsDone(state)) return grain.Info!;
            if (CheckAddition(grain, state, addition) is { } wrong) return wrong;
            if (spread is null && await loader.LoadAsync(grain, state, digestBytes.Take, deadline) is { } notLoaded) return notLoaded;
            return await AppendInTurnAsync(grain, state, addition, deadline);
        }
        finally
        {
            grain.Turns.Leave();
        }
    }

    private KvError? CheckAddition(SequenceGrain grain, SequenceState state, Addition addition)
    {
        int count = addition.Blocks.Length;
        int blockTokens = state.Layout.BlockTokens;
        if (count < 1) return KvError.InvalidArgument("blocks", 0, "1 or more");
        if (addition.ExpectedTokens >= 0 && addition.ExpectedTokens != state.Tokens)
            return KvError.InvalidArgument("expectedTokens", addition.ExpectedTokens, $"the sequence's tokens, {state.Tokens}");
        if (addition.Tokens <= (long)(count - 1) * blockTokens || addition.Tokens > (long)count * blockTokens)
        {
            return KvError.InvalidArgument(
                "tokens", addition.Tokens, $"{((long)(count - 1) * blockTokens) + 1} to {(long)count * blockTokens} for {count} blocks");
        }

        bool partly = state.Tokens % blockTokens != 0;
        if (addition.ReplaceLast != partly)
        {
            return KvError.InvalidArgument(
                "replaceLast", addition.ReplaceLast, partly ? "true, as the last block is not full" : "false, as the last block is full");
        }

        int total = addition.Keep(state) + count;
        if (total > options.BlocksMax) return KvError.LimitExceeded("recall.blocksMax", total, options.BlocksMax);
        for (int i = 0; spread is null && i < count; i++)
        {
            MissReason reason = engine.Describe(grain.Namespace, addition.Blocks.Span[i]).Reason;
            if (reason != MissReason.None)
                return KvError.InvalidArgument($"blocks[{i}]", $"{addition.Blocks.Span[i]}: {reason.Name()}", "a block that is stored");
        }

        return null;
    }

    private async ValueTask<Result<SequenceInfo>> AppendInTurnAsync(
        SequenceGrain grain, SequenceState state, Addition addition, Deadline deadline)
    {
        int keep = addition.Keep(state);
        DigestIndex[] built = state.ForkDigests(keep);
        var added = new List<SequenceBlock>();
        var segments = new List<BlockId>(state.Segments);
        var reserved = new DigestReservation(digestBytes.Take, grain, () => built.Sum(index => index.NativeBytes));
        KvError? error = spread is null
            ? await BuildAsync(grain, state, addition, built, added, reserved, deadline)
            : await spread.BuildAsync(grain, state, addition, added, deadline);
        error ??= reserved.Settle();
        error ??= await AddSegmentsAsync(state, keep, added, segments, deadline);
        if (error is null)
        {
            SequenceManifest before = ManifestOf(grain, state);
            int inSegments = segments.Count * SequenceManifest.SegmentBlocks;
            SequenceManifest after = before with
            {
                Tokens = ((long)keep * state.Layout.BlockTokens) + addition.Tokens,
                Segments = segments,
                Tail = [.. state.Blocks.Take(keep).Concat(added).Skip(inSegments).Select(AsRecord)],
                Alone = spread is null ? [] : SequenceManifest.AloneOf([.. state.Blocks.Take(keep), .. added]),
            };
            error = await SaveAsync(grain, new SequenceChange(after, before, keep, added), deadline);
            if (error is null)
            {
                state.Extend(keep, added, after.Tokens, built, segments);
                reserved.HandOver();
                grain.Memory.Reuse.Clear();
                return Show(grain, state);
            }
        }

        digestBytes.Add(-reserved.Bytes);
        store.Drop(segments.Skip(state.Segments.Count));
        foreach (DigestIndex index in built) index.Dispose();
        return error;
    }

    private async ValueTask<KvError?> BuildAsync(
        SequenceGrain grain, SequenceState state, Addition addition, DigestIndex[] built, List<SequenceBlock> added,
        DigestReservation reserved, Deadline deadline)
    {
        int keep = addition.Keep(state);
        for (int i = 0; i < addition.Blocks.Length; i++)
        {
            if (reserved.SettleOften(i) is { } noRoom) return noRoom;
            BlockId id = addition.Blocks.Span[i];
            int tokens = (int)Math.Min(state.Layout.BlockTokens, addition.Tokens - ((long)i * state.Layout.BlockTokens));
            Result<(uint PayloadCrc, uint[] Checks)> result = await loader.AddAsync(
                state, built, grain.Namespace, keep + i, tokens, id, keep + i, $"blocks[{i}]", deadline);
            if (!result.TryGet(out (uint PayloadCrc, uint[] Checks) block, out KvError? error)) return error;
            added.Add(new SequenceBlock(id, NextBlockNumber(), block.PayloadCrc, block.Checks));
        }

        return null;
    }

    /// <summary>Writes the segments that have become full.</summary>
    private async ValueTask<KvError?> AddSegmentsAsync(
        SequenceState state, int keep, List<SequenceBlock> added, List<BlockId> segments, Deadline deadline)
    {
        const int size = SequenceManifest.SegmentBlocks;
        int wanted = SequenceManifest.SegmentsOf(keep + added.Count);
        while (segments.Count < wanted)
        {
            var blocks = new ManifestBlock[size];
            for (int i = 0; i < size; i++)
            {
                int block = (segments.Count * size) + i;
                blocks[i] = AsRecord(block < keep ? state[block] : added[block - keep]);
            }

            Result<BlockId> result = await store.AddSegmentAsync(blocks, deadline);
            if (!result.TryGet(out BlockId id, out KvError? error)) return error;
            segments.Add(id);
        }

        return null;
    }
}
