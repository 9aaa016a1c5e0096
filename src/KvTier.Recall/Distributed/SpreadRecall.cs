namespace KvTier.Recall;

/// <summary>
/// One recall over sequences whose blocks lie on several silos, as their coordinator makes it: scores and rows stay where they are, the
/// choice and the merge are made here. In the turns of its sequences.
/// </summary>
internal sealed class SpreadRecall(
    RecallService recall, PartCaller caller, PartBuilder builder, NamespaceDescriptor ns, RecallRequest request)
{
    private readonly BlockLayout layout = new(ns.Profile);
    private readonly List<SpreadItem> items = [];

    /// <summary>The items.</summary>
    internal IReadOnlyList<SpreadItem> Items => items;

    /// <summary>What is asked.</summary>
    internal RecallRequest Request => request;

    /// <summary>The namespace.</summary>
    internal NamespaceDescriptor Namespace => ns;

    /// <summary>Layout of blocks.</summary>
    internal BlockLayout Layout => layout;

    /// <summary>Names the scores that were made for it at the silos; 0 when there are none.</summary>
    internal long Session { get; set; }

    /// <summary>Recalls; ends by the deadline.</summary>
    /// <param name="grains">The sequences, whose turns the caller has.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<Result<RecallAnswer>> RunAsync(IReadOnlyList<SequenceGrain> grains, Deadline deadline)
    {
        foreach (RecallItem item in request.Items)
        {
            SequenceGrain grain = grains.First(each => each.Name == item.Sequence);
            if (grain.State is not { } state) return RecallService.Unknown("sequence", item.Sequence);
            if (!state.Specs.Contains(request.Selector.Digest))
            {
                return KvError.InvalidArgument(
                    "selector.digest", RecallService.Kinds([request.Selector.Digest]),
                    $"one that {item.Sequence} keeps: {RecallService.Kinds(state.Specs)}");
            }

            if (RecallChecks.CheckBudget(request, state) is { } wrong) return wrong;
            items.Add(Begin(item, grain, state));
        }

        if (await new SpreadChoice(this, caller, builder).ChooseAsync(deadline) is { } notChosen) return notChosen;
        for (int i = 0; i < items.Count; i++)
        {
            if (SpreadGather.CheckSlots(items[i], i) is { } tooFew) return tooFew;
        }

        if (request.Mode != RecallMode.Ids) await TakeAsync(deadline);
        foreach (SpreadItem item in items) Conclude(item);
        return await AnswerAsync(deadline);
    }

    /// <summary>Asks silos for their parts of items, all at once, this silo last: what it does it does on this thread.</summary>
    /// <param name="wanted">The items and parts to ask for.</param>
    /// <param name="ask">Asks one silo for its parts of items.</param>
    /// <param name="lost">Told of what a silo did not answer.</param>
    internal async ValueTask ForEachSiloAsync(
        IEnumerable<(SpreadItem Item, int Part)> wanted, Func<string, List<(SpreadItem Item, int Part)>, ValueTask<KvError?>> ask,
        Action<SpreadItem, int, KvError> lost)
    {
        var bySilo = wanted.GroupBy(each => each.Item.Places.Parts[each.Part].Silo).OrderBy(group => group.Key == caller.Self).ToList();
        var asked = bySilo.ConvertAll(group => (Parts: group.ToList(), Call: default(Task<KvError?>)));
        for (int i = 0; i < asked.Count; i++) asked[i] = (asked[i].Parts, ask(bySilo[i].Key, asked[i].Parts).AsTask());
        foreach ((List<(SpreadItem Item, int Part)> parts, Task<KvError?>? call) in asked)
        {
            if (await call! is not { } error) continue;
            foreach ((SpreadItem item, int part) in parts) lost(item, part, error);
        }
    }

    /// <summary>Why tokens are missing whose silo gave an error.</summary>
    internal static MissReason ReasonOf(KvError error) =>
        error.Code == ErrorCode.DeadlineExceeded ? MissReason.Deadline : MissReason.OwnerLost;

    private SpreadItem Begin(RecallItem item, SequenceGrain grain, SequenceState state)
    {
        var asked = new SelectRequest
        {
            Selector = request.Selector,
            Layer = item.Layer,
            Queries = item.Queries.Span,
            QueryHeads = request.QueryHeads,
            Window = request.Window,
            Scale = 1,
        };
        bool clusters = request.Selector.Digest.Kind is DigestKind.Centroids or DigestKind.Vq;
        int parts = grain.Places!.Parts.Count;
        return new SpreadItem(item, grain)
        {
            UnitTokens = clusters ? 1 : request.Selector.Digest.ChunkTokens,
            TakesAll = TokenLimit.TakesAll(asked, state.Tokens),
            Answers = new PartAnswerItem?[parts],
            Lost = new MissReason[parts],
            MapBlocks = LearntMaps.BlocksOf(request.Selector.Digest, state),
            Scored = [.. Enumerable.Repeat(-1, parts)],
        };
    }

    private async ValueTask TakeAsync(Deadline deadline)
    {
        var wanted = new List<(SpreadItem Item, int Part)>();
        foreach (SpreadItem item in items)
        {
            for (int part = 0; part < item.Places.Parts.Count; part++)
            {
                if (item.Lost[part] == MissReason.None) wanted.Add((item, part));
            }
        }

        await ForEachSiloAsync(
            wanted, (silo, parts) => TakeFromAsync(silo, parts, deadline), (item, part, error) => item.Lose(part, ReasonOf(error)));
    }

    private async ValueTask<KvError?> TakeFromAsync(string silo, List<(SpreadItem Item, int Part)> parts, Deadline deadline)
    {
        var asked = new List<PartRecallItem>();
        foreach ((SpreadItem item, int part) in parts)
        {
            PlacedPart placed = item.Places.Parts[part];
            asked.Add(new PartRecallItem(
                item.Item, placed.Stamp,
                item.TakesAll && request.Mode == RecallMode.Attend
                    ? null
                    : item.ChoiceOf(part, leaveOutHeld: request.Mode == RecallMode.Gather),
                Session == 0 ? -1 : item.Scored[part]));
        }

        // Whether a part answers in time is to be known while there is time to say so.
        Deadline most = deadline.Share(0.8);
        var message = new PartRecall(ns.Id, request, asked, Session);
        Result<PartAnswerItem[]> result = await builder.WithPartsAsync(silo, parts, () => caller.RecallAsync(silo, message, most), most);
        if (!result.TryGet(out PartAnswerItem[]? answers, out KvError? error)) return error;
        for (int i = 0; i < parts.Count; i++) parts[i].Item.Answers[parts[i].Part] = answers[i];
        return null;
    }

    /// <summary>Counts what the parts cost, and names what is missing.</summary>
    private static void Conclude(SpreadItem item)
    {
        for (int part = 0; part < item.Answers.Length; part++)
        {
            if (item.Answers[part] is not { } answer) continue;
            item.AddCost(answer.Cost);
            foreach (MissingTokens run in answer.Missing) AddMissing(item, item.Places.Parts[part], run);
        }

        if (item.Missing.Count > 1) PieceResolver.Merge(item.Missing);
    }

    private static void AddMissing(SpreadItem item, PlacedPart part, MissingTokens run)
    {
        int blockTokens = item.State.Layout.BlockTokens;
        long token = run.FirstToken;
        long end = run.FirstToken + run.Tokens;
        while (token < end && token / blockTokens < part.Positions.Length)
        {
            int block = (int)(token / blockTokens);
            int some = (int)Math.Min(end - token, ((long)(block + 1) * blockTokens) - token);
            long first = ((long)part.Positions[block] * blockTokens) + (token % blockTokens);
            item.Missing.Add(new MissingTokens(first, some, run.Reason));
            token += some;
        }
    }

    private async ValueTask<Result<RecallAnswer>> AnswerAsync(Deadline deadline)
    {
        long total = 0;
        foreach (SpreadItem item in items)
        {
            if (request.Mode == RecallMode.Gather || item.Item.Held.Length > 0) SpreadGather.Resolve(item, request.Mode);
            item.PayloadOffset = total;
            item.PayloadLength = request.Mode switch
            {
                RecallMode.Gather => SpreadGather.BytesOf(item),
                RecallMode.Attend => AttendWork.BytesOf(request, layout),
                _ => 0,
            };
            total += item.PayloadLength;
        }

        return await recall.MakeAnswerAsync(total, request.InSharedMemory, Write, () => items.ConvertAll(AnswerOf), deadline);
    }

    private void Write(Memory<byte> payload)
    {
        foreach (SpreadItem item in items)
        {
            Span<byte> target = payload.Span.Slice((int)item.PayloadOffset, (int)item.PayloadLength);
            if (request.Mode == RecallMode.Gather) SpreadGather.Write(item, request.Layout, target);
            else if (request.Mode == RecallMode.Attend) SpreadAttend.Write(item, request, target);
        }
    }

    private RecallItemAnswer AnswerOf(SpreadItem item)
    {
        var counts = new int[layout.KvHeads];
        var units = new List<int>();
        for (int head = 0; head < counts.Length; head++)
        {
            counts[head] = item.Choice.Units(head).Length;
            units.AddRange(item.Choice.Units(head));
        }

        bool isGather = request.Mode == RecallMode.Gather;
        return new RecallItemAnswer
        {
            UnitTokens = item.UnitTokens,
            Counts = counts,
            Units = units.ToArray(),
            Slots = item.Slots,
            SentCounts = isGather ? item.SentCounts : default(ReadOnlyMemory<int>),
            Sent = isGather ? item.Sent.ToArray() : default(ReadOnlyMemory<int>),
            Missing = item.Missing.Count == 0 ? [] : item.Missing.ToArray(),
            PayloadOffset = item.PayloadOffset,
            PayloadLength = item.PayloadLength,
            GatherRows = isGather ? item.GatherRows : 0,
            Cost = item.Cost with { Reused = item.IsReused, Certified = item.Choice.Certified },
        };
    }
}
