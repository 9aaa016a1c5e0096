namespace KvTier.Cluster.Tests.Node;

/// <summary>The way from one silo to the others: calls, with what may go wrong on it.</summary>
internal sealed class TestPeers(TestCluster cluster, TestSilo from) : IPeers
{
    private static readonly KvError lost = new(ErrorCode.Unavailable, "peer");

    /// <summary>Silos that can't be reached from here.</summary>
    public HashSet<string> Cut { get; } = [];

    /// <summary>Called before each call arrives.</summary>
    public Func<SiloEntry, PeerMessage, Task>? OnCall { get; set; }

    /// <summary>Called before each push arrives.</summary>
    public Func<SiloEntry, PushBatch, Task>? OnPush { get; set; }

    /// <summary>Called after a push was done, before its answer is seen.</summary>
    public Func<SiloEntry, PushBatch, Task>? AfterPush { get; set; }

    /// <summary>True while offers of mutable values do not arrive.</summary>
    public bool IsOfferLost { get; set; }

    /// <summary>Calls made, by operation.</summary>
    public Dictionary<ushort, int> Calls { get; } = [];

    /// <summary>Blocks pushed.</summary>
    public int Pushed { get; private set; }

    public async ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, PeerMessage request, TimeSpan deadline)
    {
        await Task.Yield();
        Calls[request.Op] = Calls.GetValueOrDefault(request.Op) + 1;
        if (OnCall is not null) await OnCall(to, request);
        if (!from.IsUp || !CanReach(to) || (IsOfferLost && request.Op == BlockOps.Offer)) return lost;
        Result<PeerMessage> answer = await cluster[to.Name].Node.OnCallAsync(from.Name, request, deadline);
        return from.IsUp && CanReach(to) ? answer : lost;
    }

    public async ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline)
    {
        await Task.Yield();
        Pushed += batch.Blocks.Count;
        if (OnPush is not null) await OnPush(to, batch);
        if (!from.IsUp || !CanReach(to)) return lost;
        TestSilo silo = cluster[to.Name];
        await silo.Node.CatchUpAsync(batch.Epoch);
        ushort handle = silo.Store.OpenNamespace(batch.Namespace).Value;
        long admitted = silo.Node.Map.Epoch;
        var statuses = new List<PushStatus>();
        KvError? error = null;
        foreach (StoredBlock block in batch.Blocks)
        {
            if (silo.Node.AdmitPush(batch.Role, batch.Epoch, batch.Namespace, block.Group) != Admission.Serve)
            {
                statuses.Add(PushStatus.Moved);
                continue;
            }

            Result<bool> put = await silo.Store.PutAsync(handle, block, deadline);
            error ??= put.Error;
            if (put is { IsOk: true, Value: true }) silo.Node.NoteStored(handle, block.Group, admitted, batch.Role);
            statuses.Add(!put.IsOk ? PushStatus.Refused : put.Value ? PushStatus.Stored : PushStatus.Present);
        }

        if (AfterPush is not null) await AfterPush(to, batch);
        return from.IsUp && CanReach(to) ? new PushReply(silo.Node.Map.Epoch, statuses, error) : lost;
    }

    private bool CanReach(SiloEntry to) => cluster.Silos.TryGetValue(to.Name, out TestSilo? silo) && silo.IsUp && !Cut.Contains(to.Name);
}
