namespace KvTier.Recall;

/// <summary>Answers what coordinators ask of this silo's parts. Thread-safe.</summary>
/// <param name="recall">Where the parts are.</param>
/// <param name="epoch">Epoch of the newest map here.</param>
internal sealed class PartHost(RecallService recall, Func<long> epoch)
{
    /// <summary>Answers; ends by the deadline.</summary>
    internal async ValueTask<Result<PartMessage>> AnswerAsync(PartMessage request, TimeSpan deadline)
    {
        switch (request.Op)
        {
            case PartOps.Build:
                if (PartBuild.Read(request.Body.Span) is not { } build) return Damaged(request);
                Result<PartBuilt> built = await recall.BuildPartAsync(build, deadline);
                return built.TryGet(out PartBuilt? part, out KvError? notBuilt) ? Reply(request, part.Write()) : notBuilt;
            case PartOps.Recall:
                return await RecallAsync(request, deadline);
            case PartOps.Drop:
                return await DropAsync(request, deadline);
            default:
                return new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}", "an operation of parts");
        }
    }

    private async ValueTask<Result<PartMessage>> RecallAsync(PartMessage request, TimeSpan deadline)
    {
        if (PartRecall.Read(request.Body.Span, request.Payload.Span) is not { } asked) return Damaged(request);
        if (!recall.HandleOf(asked.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        RecallRequest over = asked.Request with { Namespace = ns, Items = [.. asked.Items.Select(each => each.Item)] };
        var ask = new PartAsk([.. asked.Items.Select(each => each.Stamp)], [.. asked.Items.Select(each => each.Choice)]);
        Result<RecallAnswer> result = await recall.RecallPartsAsync(over, ask, deadline);
        if (!result.TryGet(out RecallAnswer? answer, out KvError? error)) return error;
        using (answer) return PartAnswer.Write(answer, epoch());
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

    private static KvError Damaged(PartMessage request) => new(ErrorCode.ProtocolViolation, "peer.body", $"operation {request.Op}", "its record");
}
