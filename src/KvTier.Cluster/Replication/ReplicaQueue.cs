namespace KvTier.Cluster;

/// <summary>
/// Copies of blocks that nobody waits for. Keeps ids only, and a limited number of them: what does not fit or can't be copied is left to
/// the hand-over walk.
/// </summary>
internal sealed class ReplicaQueue(NodeContext node, PeerCalls calls, HotGroups hot, HandOverLoop handOver)
{
    /// <summary>Most blocks that wait.</summary>
    public const int EntriesMax = 65_536;

    /// <summary>How often a batch is tried.</summary>
    private const int AttemptsMax = 3;

    private static readonly TimeSpan retry = TimeSpan.FromMilliseconds(50);

    private readonly Lock gate = new();
    private readonly Queue<Entry> entries = new();
    private readonly NodeSignal wake = new(node.Time);

    /// <summary>Blocks that wait.</summary>
    public int Count
    {
        get
        {
            lock (gate) return entries.Count;
        }
    }

    /// <summary>True when groups of a namespace may have more copies than are acknowledged.</summary>
    public bool HasMore(NamespaceDescriptor descriptor) => !descriptor.IsMutable && hot.Count > 0;

    /// <summary>Queues those blocks that others are to hold too.</summary>
    public void Add(ushort ns, NamespaceDescriptor descriptor, ReadOnlySpan<BlockId> ids, ReadOnlySpan<BlockId> groups)
    {
        ClusterMap map = node.Map;
        int self = map.IndexOf(node.Self);
        int copies = map.Settings.ReplicasOf(descriptor);
        bool isOwnAlone = false;
        bool added = false;
        for (int i = 0; i < ids.Length; i++)
        {
            if (i == 0 || groups[i] != groups[i - 1]) isOwnAlone = IsOwnAlone(map, self, hot.Copies(copies, groups[i]), groups[i]);
            if (isOwnAlone) continue;
            added = true;
            TryAdd(new Entry(ns, ids[i], groups[i]));
        }

        if (added) wake.Set();
    }

    /// <summary>Wakes the loop so that it sees that it is to end.</summary>
    public void Wake() => wake.Set();

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        var some = new List<Entry>();
        while (!node.IsStopping)
        {
            Take(some);
            if (some.Count == 0) await wake.WaitAsync(TimeSpan.FromHours(1));
            else await PushAsync(some);
        }
    }

    private static bool IsOwnAlone(ClusterMap map, int self, int copies, BlockId group)
    {
        Holders holders = Holders.Of(map, copies, group);
        return holders.Count == 0 || (holders.Count == 1 && holders[0] == self);
    }

    private void TryAdd(Entry entry)
    {
        lock (gate)
        {
            if (entries.Count < EntriesMax)
            {
                entries.Enqueue(entry);
                return;
            }
        }

        NodeCounters counters = node.Counters;
        NodeCounters.Add(ref counters.QueueOverflow);
        handOver.Owe(entry.Group);
    }

    private void Take(List<Entry> some)
    {
        some.Clear();
        lock (gate)
        {
            while (some.Count < Pushing.BlocksMax && entries.TryPeek(out Entry next) && (some.Count == 0 || some[0].Handle == next.Handle))
                some.Add(entries.Dequeue());
        }
    }

    private async ValueTask PushAsync(List<Entry> some)
    {
        if (node.NamespaceOf(some[0].Handle) is not { } descriptor) return;
        BlockId[] ids = [.. some.Select(entry => entry.Id)];
        BlockId[] groups = [.. some.Select(entry => entry.Group)];
        for (int attempt = 0; attempt < AttemptsMax && !node.IsStopping; attempt++)
        {
            ClusterMap map = node.Map;
            int copies = map.Settings.ReplicasOf(descriptor);
            var push = new ReplicaPush(node, calls, map, some[0].Handle, descriptor) { MoreCopies = hot.Copies };
            NodeDeadline deadline = node.Deadline(node.Options.PeerDeadline);
            ReplicaOutcome outcome = await push.RunAsync(ids, groups, copies, ask: attempt > 0, deadline);
            if (outcome == ReplicaOutcome.Done) break;

            // When some of the blocks can't be read, the walk looks after those that can.
            if (outcome == ReplicaOutcome.Failed && !push.IsRefused) attempt = AttemptsMax;
            if (push.NewestEpoch > map.Epoch) await node.CatchUpAsync(push.NewestEpoch, node.Options.CatchUp);
            if (node.Map.Epoch == map.Epoch) await node.PauseAsync(retry);
            if (attempt < AttemptsMax - 1) continue;
            NodeCounters counters = node.Counters;
            NodeCounters.Add(ref counters.LeftToWalk, some.Count);
            foreach (Entry entry in some) handOver.Owe(entry.Group);
        }

        Leave(some, descriptor);
    }

    /// <summary>Leaves to a walk what this silo is not to hold: the map changed between the admission of a put and its seal.</summary>
    private void Leave(List<Entry> some, NamespaceDescriptor descriptor)
    {
        ClusterMap map = node.Map;
        int self = map.IndexOf(node.Self);
        int copies = map.Settings.ReplicasOf(descriptor);
        foreach (Entry entry in some)
        {
            if (Holders.Of(map, copies, entry.Group).RankOf(self) < 0) handOver.Owe(entry.Group);
        }
    }

    private readonly record struct Entry(ushort Handle, BlockId Id, BlockId Group);
}
