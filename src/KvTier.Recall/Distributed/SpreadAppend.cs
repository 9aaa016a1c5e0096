namespace KvTier.Recall;

/// <summary>Appends blocks to a sequence whose blocks lie on several silos: each builds the digests of its own.</summary>
internal sealed class SpreadAppend(RecallService recall, IPartPeers peers, PartCaller caller, PartBuilder builder)
{
    /// <summary>Builds. In the sequence's turn.</summary>
    /// <param name="grain">The sequence.</param>
    /// <param name="state">What it is before.</param>
    /// <param name="addition">What is appended.</param>
    /// <param name="added">Takes the blocks.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<KvError?> BuildAsync(
        SequenceGrain grain, SequenceState state, Addition addition, List<SequenceBlock> added, Deadline deadline)
    {
        if (builder.Place(grain) is { } noPlace) return noPlace;
        int keep = addition.Keep(state);
        SequenceBlock[] all =
        [
            .. state.Blocks.Take(keep),
            .. addition.Blocks.ToArray().Select(id => new SequenceBlock(id, recall.NextNumber(), 0, null)),
        ];
        long tokens = ((long)keep * state.Layout.BlockTokens) + addition.Tokens;
        var open = new SortedSet<int>(Enumerable.Range(keep, all.Length - keep));
        while (open.Count > 0)
        {
            if (SequencePlaces.Split(all, peers) is not { } bySilo)
                return new KvError(ErrorCode.Unavailable, "cluster", "no silo", "an owner");
            var work = bySilo.Where(each => each.Value.Exists(open.Contains)).OrderBy(each => each.Key == peers.Self).ToList();
            Task<Result<PartBuilt>>[] calls =
                [.. work.Select(each => AskAsync(grain, state, each.Key, each.Value, keep, all, tokens, deadline).AsTask())];
            await Task.WhenAll(calls);
            for (int i = 0; i < calls.Length; i++)
            {
                int[] asked = [.. work[i].Value.Where(position => position >= keep)];
                if (!(await calls[i]).TryGet(out PartBuilt? built, out KvError? error)) return error;
                if (Take(built, asked, all, keep, open) is { } wrong) return wrong;
            }
        }

        added.AddRange(all.Skip(keep));
        return null;
    }

    /// <summary>Takes what a silo said. A block that is not where its run is may have been stored alone.</summary>
    private static KvError? Take(PartBuilt built, int[] asked, SequenceBlock[] all, int keep, SortedSet<int> open)
    {
        if (built.Crcs.Length == 0)
        {
            foreach (int absent in built.Absent)
            {
                int position = asked[Math.Clamp(absent, 0, asked.Length - 1)];
                if (all[position].IsAlone || BlockGroups.HeadOf(position) == position)
                {
                    return KvError.InvalidArgument(
                        $"blocks[{position - keep}]", $"{all[position].Id}: {MissReason.NeverStored.Name()}", "a block that is stored");
                }

                all[position] = all[position] with { IsAlone = true };
            }

            return built.Absent.Length > 0 ? null : new KvError(ErrorCode.Corrupt, "peer.body", "a part", "checks of its blocks");
        }

        for (int i = 0; i < asked.Length; i++)
        {
            all[asked[i]] = all[asked[i]] with { PayloadCrc = built.Crcs[i] };
            open.Remove(asked[i]);
        }

        return null;
    }

    private async ValueTask<Result<PartBuilt>> AskAsync(
        SequenceGrain grain, SequenceState state, string silo, List<int> positions, int keep, SequenceBlock[] all, long tokens,
        Deadline deadline)
    {
        PlacedPart? before = grain.Places!.Parts.FirstOrDefault(part => part.Silo == silo);
        int[] added = [.. positions.Where(position => position >= keep)];
        var build = new PartBuild
        {
            Namespace = recall.Engine.Namespaces[grain.Namespace].Id,
            Name = grain.Name,
            Digests = state.Specs,
            Rotation = state.Rotation,
            BaseName = before is null ? "" : grain.Name,
            BaseStamp = before?.Stamp ?? 0,
            Keep = before?.Positions.Count(position => position < keep) ?? 0,
            LastTokens = SequencePlaces.LastTokens(positions, all.Length, tokens, state.Layout),
            Positions = added,
            Ids = [.. added.Select(position => all[position].Id)],
        };
        Result<PartBuilt> result = await caller.BuildAsync(silo, build, deadline);
        if (result.IsOk || result.Error is not { Code: ErrorCode.Conflict, Field: "part" } || before is null) return result;
        Result<PartBuilt> whole = await caller.BuildAsync(silo, builder.BuildOf(grain, before), deadline);
        return whole.IsOk ? await caller.BuildAsync(silo, build, deadline) : whole;
    }
}
