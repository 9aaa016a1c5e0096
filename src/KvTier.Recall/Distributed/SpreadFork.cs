namespace KvTier.Recall;

/// <summary>Forks a sequence: the parts share its digests, and the owner of the new name gets the manifest.</summary>
internal sealed class SpreadFork(
    RecallService recall, IPartPeers peers, PartCaller caller, PartBuilder builder, HeldManifests held, ManifestAnswers answers)
{
    /// <summary>Forks; this silo owns the sequence.</summary>
    internal async ValueTask<Result<SequenceInfo>> ForkAsync(ushort ns, string name, string newName, long tokens, Deadline deadline)
    {
        if (RecallService.CheckName("newName", newName) is { } wrongName) return wrongName;
        if (newName == name) return KvError.InvalidArgument("newName", newName, "another name than the sequence has");
        if (recall.Sequences.Find(ns, name) is not { Info: not null } grain) return RecallService.Unknown("sequence", name);
        ManifestMessage message;
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        try
        {
            if (grain.State is not { } state) return RecallService.Unknown("sequence", name);
            if (!RecallService.KeptBy(state, tokens).TryGet(out long keep, out KvError? wrong)) return wrong;
            if (builder.Place(grain) is { } noPlace) return noPlace;
            int blocks = (int)((keep + state.Layout.BlockTokens - 1) / state.Layout.BlockTokens);
            await ShareAsync(grain, newName, blocks, keep, deadline);
            message = held.Whole(grain, ManifestReason.Create);
            SequenceBlock[] kept = [.. state.Blocks.Take(blocks)];
            message = message with
            {
                Manifest = message.Manifest with { Name = newName, Tokens = keep, Epoch = 0, Version = 0, Segments = [], Tail = [] },
                Blocks = kept,
            };
        }
        finally
        {
            grain.Turns.Leave();
        }

        BlockId group = BlockGroups.OfSequence(recall.Engine.Namespaces[ns].Id, newName);
        if (peers.OwnerOf(group) is not { } owner) return new KvError(ErrorCode.Unavailable, "cluster", "no silo", "an owner");
        if (await answers.CreateAsync(owner, message, peers.Self, deadline) is { } notMade) return notMade;
        return new SequenceInfo
        {
            Namespace = ns,
            Name = newName,
            Blocks = message.Blocks.Count,
            Tokens = message.Manifest.Tokens,
            Digests = message.Manifest.Digests,
            Rotation = message.Manifest.Rotation,
        };
    }

    /// <summary>Has the parts share what they have; one that does not is built anew when it is asked for.</summary>
    private async ValueTask ShareAsync(SequenceGrain grain, string newName, int blocks, long tokens, Deadline deadline)
    {
        SequenceState state = grain.State!;
        var calls = new List<Task>();
        foreach (PlacedPart part in grain.Places!.Parts.OrderBy(part => part.Silo == peers.Self))
        {
            int[] kept = [.. part.Positions.TakeWhile(position => position < blocks)];
            if (kept.Length == 0) continue;
            var build = new PartBuild
            {
                Namespace = recall.Engine.Namespaces[grain.Namespace].Id,
                Name = newName,
                Digests = state.Specs,
                Rotation = state.Rotation,
                BaseName = grain.Name,
                BaseStamp = part.Stamp,
                Keep = kept.Length,
                LastTokens = SequencePlaces.LastTokens(kept, blocks, tokens, state.Layout),
                Positions = [],
                Ids = [],
            };
            calls.Add(caller.BuildAsync(part.Silo, build, deadline.Share(0.5)).AsTask());
        }

        await Task.WhenAll(calls);
    }
}
