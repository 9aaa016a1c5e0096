namespace KvTier.Recall;

/// <summary>Has parts built where their blocks lie. In the turns of their sequences.</summary>
internal sealed class PartBuilder(RecallService recall, PartCaller caller, IPartPeers peers)
{
    /// <summary>How often a call is tried when parts turn out not to be there.</summary>
    private const int Tries = 3;

    /// <summary>Works out where the blocks of a sequence lie, when the map or the sequence has changed.</summary>
    /// <returns>Null, or why it can't be said.</returns>
    internal KvError? Place(SequenceGrain grain)
    {
        if (grain.Places?.Epoch == peers.Epoch) return null;
        grain.Places = SequencePlaces.Of(grain.State!, peers);
        return grain.Places is null ? new KvError(ErrorCode.Unavailable, "cluster", "no silo", "an owner for every group") : null;
    }

    /// <summary>Calls a silo, and has parts built there that it does not have.</summary>
    /// <param name="silo">The silo.</param>
    /// <param name="parts">The parts that the call needs there.</param>
    /// <param name="call">The call.</param>
    /// <param name="deadline">Time for all of it.</param>
    /// <param name="maps">Gives parts their maps; null when the call needs none.</param>
    /// <param name="digest">The digest that they are for.</param>
    internal async ValueTask<Result<T>> WithPartsAsync<T>(
        string silo, List<(SpreadItem Item, int Part)> parts, Func<ValueTask<Result<T>>> call, Deadline deadline, SpreadMaps? maps = null,
        DigestSpec? digest = null)
    {
        for (int i = 1; ; i++)
        {
            Result<T> result = await call();
            if (result.Error is not { Code: ErrorCode.Conflict } conflict || i == Tries) return result;
            if (conflict.Field == "maps" && maps is not null)
            {
                foreach ((SpreadItem item, int part) in parts.Where(each => each.Item.MapBlocks > 0).DistinctBy(each => each.Item.Grain))
                {
                    if (await maps.GiveAsync(item, part, digest!, deadline) is { } notGiven) return notGiven;
                }

                continue;
            }

            if (conflict.Field != "part") return result;
            IEnumerable<(SequenceGrain, PlacedPart)> lacking = parts.Select(each => (each.Item.Grain, each.Item.Places.Parts[each.Part]));
            foreach ((SequenceGrain grain, PlacedPart part) in lacking.Distinct())
            {
                Result<PartBuilt> built = await caller.BuildAsync(silo, BuildOf(grain, part), deadline);
                if (!built.TryGet(out PartBuilt? it, out KvError? error)) return error;
                part.Built = it;
            }
        }
    }

    /// <summary>What a part is to be built of, from nothing.</summary>
    internal PartBuild BuildOf(SequenceGrain grain, PlacedPart part)
    {
        SequenceState state = grain.State!;
        return new PartBuild
        {
            Namespace = recall.Engine.Namespaces[grain.Namespace].Id,
            Name = grain.Name,
            Digests = state.Specs,
            Rotation = state.Rotation,
            LastTokens = SequencePlaces.LastTokens(part.Positions, state.Blocks.Count, state.Tokens, state.Layout),
            Positions = part.Positions,
            Ids = [.. part.Positions.Select(position => state[position].Id)],
            Crcs = [.. part.Positions.Select(position => state[position].PayloadCrc)],
        };
    }
}
