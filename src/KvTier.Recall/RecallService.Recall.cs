using System.Buffers;
using System.Collections.Concurrent;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Recalling.</summary>
public sealed partial class RecallService
{
    private readonly ConcurrentBag<RecallRun> runs = [];

    /// <inheritdoc/>
    public ValueTask<Result<RecallAnswer>> RecallAsync(RecallRequest request, TimeSpan deadline)
    {
        ArgumentNullException.ThrowIfNull(request);
        return spread is null
            ? GuardAsync(limit => RecallCoreAsync(request, table, ask: null, limit), deadline)
            : GuardAsync(limit => spread.RecallAsync(request, limit), deadline);
    }

    private async ValueTask<Result<RecallAnswer>> RecallCoreAsync(
        RecallRequest request, SequenceTable over, PartAsk? ask, Deadline deadline)
    {
        if (!FindNamespace(request.Namespace).TryGet(out NamespaceDescriptor? ns, out KvError? unknown)) return unknown;
        if (ns.Profile.Kind == AttentionKind.Opaque)
            return KvError.InvalidArgument("namespace", ns.Profile.Name, "a profile that is not opaque");
        if (RecallChecks.Check(request, ns.Profile, options) is { } wrong) return wrong;
        if (!runs.TryTake(out RecallRun? run)) run = new RecallRun();
        int entered = 0;
        try
        {
            run.Begin(request, new BlockLayout(ns.Profile));
            if (FindGrains(run, over) is { } notOpen) return ask is null ? notOpen : new KvError(ErrorCode.Conflict, "part", notOpen.Value);
            for (; entered < run.Grains.Count; entered++)
            {
                if (await run.Grains[entered].Turns.EnterAsync(deadline) is { } late) return late;
            }

            return ask?.Check(run) is { } changed ? changed : await RecallInTurnAsync(run, ask, deadline);
        }
        finally
        {
            run.End(engine, hot, device);
            for (int i = 0; i < entered; i++) run.Grains[i].Turns.Leave();
            run.Grains.Clear();
            runs.Add(run);
        }
    }

    /// <summary>The sequences asked about, in the order in which every run takes its turns.</summary>
    private static KvError? FindGrains(RecallRun run, SequenceTable over)
    {
        IReadOnlyList<RecallItem> items = run.Request.Items;
        for (int i = 0; i < items.Count; i++)
        {
            if (over.Find(run.Request.Namespace, items[i].Sequence) is not { Info: not null } grain)
                return Unknown($"items[{i}].sequence", items[i].Sequence);
            if (!run.Grains.Contains(grain)) run.Grains.Add(grain);
        }

        run.Grains.Sort((a, b) => a.Number.CompareTo(b.Number));
        return null;
    }

    private async ValueTask<Result<RecallAnswer>> RecallInTurnAsync(RecallRun run, PartAsk? ask, Deadline deadline)
    {
        foreach (SequenceGrain grain in run.Grains)
        {
            if (grain.State is not { } state) return Unknown("sequence", grain.Name);
            if (state.Loaded == state.Blocks.Count) continue;
            if (await loader.LoadAsync(grain, state, digestBytes.Take, deadline) is { } notLoaded) return notLoaded;
        }

        if (BeginItems(run, ask) is { } wrong) return wrong;
        space.Begin();
        device.DropGone();
        for (int i = 0; i < run.ItemCount; i++) run[i].BeginChoice(run.Request, run.Scale, deviceDigests, ask?.Choices?[i]);
        if (run.HasToChoose) pool.Run(new SelectWork(run, deviceDigests), run.ItemCount * run.KvHeads);
        for (int i = 0; i < run.ItemCount; i++) run[i].Remember(run.Request.Selector);
        foreach (SequenceGrain grain in run.Grains) grain.Memory.Picks.Begin(grain.State!.Blocks.Count);
        if (run.Request.Mode == RecallMode.Ids)
        {
            Planner.Touch(run);
        }
        else
        {
            Plan(run);
            if (await fetcher.FetchAsync(run, deadline) is { } late) return late;
            for (int i = 0; i < run.ItemCount; i++) PieceResolver.Resolve(run, run[i]);
        }

        feedback.Give(run);
        Result<RecallAnswer> answer = await AnswerAsync(run, deadline);
        if (answer.IsOk) deviceStep.MoveUp(run);
        return answer;
    }

    /// <summary>Plans a run, and has the device attend to what it has. When it fails, the host does all.</summary>
    private void Plan(RecallRun run)
    {
        planner.Plan(run, mayUseDevice: run.Request.Mode == RecallMode.Attend);
        if (deviceStep.TryAttend(run)) return;
        run.ClearPlan(engine, hot, device);
        for (int i = 0; i < run.ItemCount; i++) run[i].ClearPlan();
        planner.Plan(run, mayUseDevice: false);
    }

    private static KvError? BeginItems(RecallRun run, PartAsk? ask)
    {
        RecallRequest request = run.Request;
        for (int i = 0; i < run.ItemCount; i++)
        {
            RecallItem item = request.Items[i];
            SequenceGrain grain = run.Grains.Find(each => each.Name == item.Sequence)!;
            SequenceState state = grain.State!;
            if (state.Find(request.Selector.Digest) is not { } digest)
            {
                return KvError.InvalidArgument(
                    "selector.digest", Kinds([request.Selector.Digest]), $"one that {item.Sequence} keeps: {Kinds(state.Specs)}");
            }

            if (ask is null && RecallChecks.CheckBudget(request, state) is { } wrong) return wrong;
            run[i].Begin(item, grain, state, digest);
            run[i].Scores = ask?.Tables?[i] ?? ArraySegment<ScoreTable>.Empty;
            if (ask?.Choices?[i]?.Fits(run.KvHeads, run[i].UnitCount) == false)
                return KvError.InvalidArgument($"items[{i}].units", "units", "ascending units of the part, for each KV head");
        }

        return null;
    }

    private async ValueTask<Result<RecallAnswer>> AnswerAsync(RecallRun run, Deadline deadline)
    {
        long total = 0;
        for (int i = 0; i < run.ItemCount; i++)
        {
            ItemRun item = run[i];
            bool slots = item.Item.Held.Length > 0;
            if ((slots || run.Request.Mode == RecallMode.Gather) && GatherPlan.Plan(run, item, i) is { } wrong) return wrong;
            item.PayloadOffset = total;
            item.PayloadLength = run.Request.Mode switch
            {
                RecallMode.Gather => GatherWork.BytesOf(item),
                RecallMode.Attend => AttendWork.BytesOf(run.Request, item.State.Layout),
                _ => 0,
            };
            total += item.PayloadLength;
        }

        return await MakeAnswerAsync(
            total, run.Request.InSharedMemory,
            payload =>
            {
                run.Payload = payload;
                Write(run);
            },
            () => Answers(run), deadline);
    }

    /// <summary>Takes room for a payload, has it written, and makes the answer.</summary>
    /// <param name="bytes">Bytes of the payload.</param>
    /// <param name="inSharedMemory">True for an arena slot.</param>
    /// <param name="write">Writes the payload.</param>
    /// <param name="items">Makes the items' answers, afterwards.</param>
    /// <param name="deadline">Time to wait for room.</param>
    internal async ValueTask<Result<RecallAnswer>> MakeAnswerAsync(
        long bytes, bool inSharedMemory, Action<Memory<byte>> write, Func<List<RecallItemAnswer>> items, Deadline deadline)
    {
        if (bytes > Math.Min(options.PayloadBytesMax, Array.MaxLength))
            return KvError.LimitExceeded("recall.payloadBytesMax", bytes, options.PayloadBytesMax);
        if (bytes == 0 || !inSharedMemory)
        {
            byte[] rented = ArrayPool<byte>.Shared.Rent((int)bytes);
            Memory<byte> payload = rented.AsMemory(0, (int)bytes);
            write(payload);
            return new RecallAnswer(items(), payload, null, () => ArrayPool<byte>.Shared.Return(rented));
        }

        Result<BlockLease> taken = await engine.TakeScratchAsync((int)bytes, deadline.Remaining);
        if (!taken.TryGet(out BlockLease lease, out KvError? noRoom)) return noRoom;
        Memory<byte> slot = engine.Arena.Slice(lease.Offset, lease.Length);
        write(slot);
        return new RecallAnswer(items(), slot, lease, () => engine.Release(lease));
    }

    private void Write(RecallRun run)
    {
        int heads = run.ItemCount * run.KvHeads;
        if (run.Request.Mode == RecallMode.Gather) pool.Run(new GatherWork(run), heads);
        if (run.Request.Mode != RecallMode.Attend) return;
        for (int i = 0; i < run.ItemCount; i++) run[i].BeginAttend(run.Request.Window * run.Request.QueryHeads / run.KvHeads);
        pool.Run(new AttendWork(run), heads);
    }

    private List<RecallItemAnswer> Answers(RecallRun run)
    {
        var answers = new List<RecallItemAnswer>(run.ItemCount);
        for (int i = 0; i < run.ItemCount; i++) answers.Add(run[i].Answer(run.Request.Mode));
        counters.Answered(answers);
        return answers;
    }
}
