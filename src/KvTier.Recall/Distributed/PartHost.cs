namespace KvTier.Recall;

/// <summary>Answers what coordinators ask of this silo's parts. Thread-safe.</summary>
/// <param name="recall">Where the parts are.</param>
/// <param name="epoch">Epoch of the newest map here.</param>
internal sealed class PartHost(RecallService recall, Func<long> epoch)
{
    /// <summary>Answers; ends by the deadline.</summary>
    /// <param name="from">Name of the silo that asks.</param>
    /// <param name="request">What it asks.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<Result<PartMessage>> AnswerAsync(string from, PartMessage request, TimeSpan deadline)
    {
        switch (request.Op)
        {
            case PartOps.Build:
                if (PartBuild.Read(request.Body.Span) is not { } build) return Damaged(request);
                Result<PartBuilt> built = await recall.BuildPartAsync(build, deadline);
                return built.TryGet(out PartBuilt? part, out KvError? notBuilt) ? Reply(request, part.Write()) : notBuilt;
            case PartOps.Recall:
                return await RecallAsync(from, request, deadline);
            case PartOps.Score:
                return await ScoreAsync(from, request, deadline);
            case PartOps.Rank:
                return Rank(from, request);
            case PartOps.Sums:
            case PartOps.Maps:
                return await MapsAsync(request, deadline);
            case PartOps.Drop:
                return await DropAsync(request, deadline);
            default:
                return new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}", "an operation of parts");
        }
    }

    private async ValueTask<Result<PartMessage>> RecallAsync(string from, PartMessage request, TimeSpan deadline)
    {
        if (PartRecall.Read(request.Body.Span, request.Payload.Span) is not { } asked) return Damaged(request);
        if (!recall.HandleOf(asked.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        RecallRequest over = asked.Request with { Namespace = ns, Items = [.. asked.Items.Select(each => each.Item)] };
        var ask = new PartAsk(
            [.. asked.Items.Select(each => each.Stamp)], [.. asked.Items.Select(each => each.Choice)],
            recall.TablesOf(from, asked, new BlockLayout(recall.Engine.Namespaces[ns].Profile).KvHeads));
        Result<RecallAnswer> result = await recall.RecallPartsAsync(over, ask, deadline);
        if (!result.TryGet(out RecallAnswer? answer, out KvError? error)) return error;
        if (asked.Session != 0) recall.EndSession(from, asked.Session);
        using (answer) return PartAnswer.Write(answer, epoch());
    }

    private async ValueTask<Result<PartMessage>> ScoreAsync(string from, PartMessage request, TimeSpan deadline)
    {
        if (PartScore.Read(request.Body.Span, request.Payload.Span) is not { } asked) return Damaged(request);
        if (!recall.HandleOf(asked.Recall.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        RecallRequest over = asked.Recall.Request with { Namespace = ns, Items = [.. asked.Recall.Items.Select(each => each.Item)] };
        Result<(HeadReport[] Heads, RecallCost[] Costs)> result = await recall.ScorePartsAsync(from, over, asked, deadline);
        if (!result.TryGet(out (HeadReport[] Heads, RecallCost[] Costs) scored, out KvError? error)) return error;
        var writer = new MessageWriter();
        writer.Int(scored.Costs.Length);
        foreach (RecallCost cost in scored.Costs) PartAnswer.WriteCost(writer, cost);
        writer.Int(scored.Heads.Length);
        foreach (HeadReport head in scored.Heads) head.Write(writer);
        return Reply(request, writer.Written);
    }

    private Result<PartMessage> Rank(string from, PartMessage request)
    {
        if (PartRank.Read(request.Body.Span) is not { } asked) return Damaged(request);
        if (!recall.RankParts(from, asked).TryGet(out RankedUnits[][]? ranks, out KvError? error)) return error;
        var writer = new MessageWriter();
        writer.Int(ranks.Length);
        foreach (RankedUnits[] head in ranks) RankedUnits.Write(writer, head);
        return Reply(request, writer.Written);
    }

    private async ValueTask<Result<PartMessage>> MapsAsync(PartMessage request, TimeSpan deadline)
    {
        if (PartMaps.Read(request.Body.Span, request.Payload.Span) is not { } asked) return Damaged(request);
        if (!recall.HandleOf(asked.Namespace).TryGet(out ushort ns, out KvError? error)) return error;
        if (request.Op == PartOps.Maps)
        {
            Result<bool> given = await recall.GivePartAsync(ns, asked, PartMaps.ToNumbers(request.Payload.Span), deadline);
            return given.IsOk ? Reply(request, default) : given.Error!;
        }

        if (!(await recall.SumPartAsync(ns, asked, deadline)).TryGet(out float[]? sums, out error)) return error;
        byte[] payload = PartMaps.ToBytes(sums);
        var writer = new MessageWriter();
        writer.Int(unchecked((int)Crc32C.Compute(payload)));
        return Reply(request, writer.Written) with { Payload = payload };
    }

    private async ValueTask<Result<PartMessage>> DropAsync(PartMessage request, TimeSpan deadline)
    {
        var (ns, name, isDone) = ReadName(request.Body.Span);
        if (!isDone) return Damaged(request);
        if (!recall.HandleOf(ns).TryGet(out ushort handle, out KvError? unknown)) return unknown;
        await recall.DropPartAsync(handle, name, deadline);
        return Reply(request, default);
    }

    private static (NamespaceId Namespace, string Name, bool IsDone) ReadName(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        NamespaceId ns = reader.Namespace();
        string name = reader.Text();
        return (ns, name, reader.IsDone);
    }

    private PartMessage Reply(PartMessage request, ReadOnlyMemory<byte> body) => new(request.Op, epoch(), body);

    private static KvError Damaged(PartMessage request) =>
        new(ErrorCode.ProtocolViolation, "peer.body", $"operation {request.Op}", "its record");
}
