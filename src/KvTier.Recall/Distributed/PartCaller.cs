namespace KvTier.Recall;

/// <summary>Asks silos for parts, this one directly, and gives up on those that don't answer in time. Thread-safe.</summary>
internal sealed class PartCaller(PartHost host, IPartPeers peers)
{
    /// <summary>Name of this silo.</summary>
    internal string Self => peers.Self;

    /// <summary>Asks a silo.</summary>
    /// <returns>Its answer; <see cref="ErrorCode.DeadlineExceeded"/> when it gave none in time, whatever it does later.</returns>
    internal async ValueTask<Result<PartMessage>> CallAsync(
        string silo, ushort op, ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> payload, Deadline deadline)
    {
        var message = new PartMessage(op, peers.Epoch, body, payload);
        if (silo == peers.Self) return await host.AnswerAsync(message, deadline.Remaining);
        Task<Result<PartMessage>> call = peers.CallAsync(silo, message, deadline.Remaining).AsTask();
        return await deadline.WaitAsync(call) ? await call : deadline.Error;
    }

    /// <summary>Has a part built.</summary>
    internal async ValueTask<Result<PartBuilt>> BuildAsync(string silo, PartBuild build, Deadline deadline)
    {
        Result<PartMessage> result = await CallAsync(silo, PartOps.Build, build.Write(), default, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return PartBuilt.Read(reply.Body.Span) is { } built ? built : Damaged(silo);
    }

    /// <summary>Recalls over parts.</summary>
    internal async ValueTask<Result<PartAnswerItem[]>> RecallAsync(string silo, PartRecall recall, Deadline deadline)
    {
        (ReadOnlyMemory<byte> body, byte[] queries) = recall.Write();
        Result<PartMessage> result = await CallAsync(silo, PartOps.Recall, body, queries, deadline);
        if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
        return PartAnswer.Read(reply) is { } items && items.Length == recall.Items.Count ? items : Damaged(silo);
    }

    private static KvError Damaged(string silo) => new(ErrorCode.Corrupt, "peer.body", silo, "the record of an answer");
}
