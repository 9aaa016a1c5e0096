namespace KvTier.Cluster;

/// <summary>
/// Groups of this silo that are read much: as long as they are, the next silo of the order holds them too, so that readers have one more
/// to choose from. Thread-safe.
/// </summary>
internal sealed class HotGroups(NodeContext node, PeerCalls calls, GroupCopy copy)
{
    /// <summary>Most groups with one copy more.</summary>
    public const int GroupsMax = 256;

    private static readonly TimeSpan tick = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan renewEvery = HotHeld.Lasts / 3;

    private readonly Lock gate = new();
    private readonly ReadRates rates = new(node.Time);
    private readonly Dictionary<BlockId, Hot> hot = [];
    private readonly List<(ushort Ns, BlockId Group)> candidates = [];
    private readonly NodeSignal wake = new(node.Time);
    private int count;

    /// <summary>How many there are.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>Notes a read; see <see cref="ClusterNode.NoteRead"/>.</summary>
    public void Note(ushort ns, BlockId group)
    {
        if (node.Options.HotReadsPerSecond == 0 || rates.Note(group) < node.Options.HotReadsPerSecond) return;
        lock (gate)
        {
            if (hot.ContainsKey(group) || candidates.Count + hot.Count >= GroupsMax || candidates.Contains((ns, group))) return;
            candidates.Add((ns, group));
        }

        wake.Set();
    }

    /// <summary>Reads a second of a group; 0 for one that is not among the most read.</summary>
    public double RateOf(BlockId group) => rates.RateOf(group);

    /// <summary>Copies of a group: one more than is asked for while it is hot.</summary>
    public int Copies(int copies, BlockId group)
    {
        if (Count == 0) return copies;
        lock (gate) return hot.ContainsKey(group) ? copies + 1 : copies;
    }

    /// <summary>Wakes the loop so that it sees that it is to end.</summary>
    public void Wake() => wake.Set();

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        while (!node.IsStopping)
        {
            ClusterMap map = node.Map;
            Cool(map);
            await RenewAsync(map);
            await HeatAsync(map);
            await wake.WaitAsync(Count > 0 ? tick : TimeSpan.FromHours(1));
        }
    }

    /// <summary>The silo that takes the copy; null when there is none, or the group is not this silo's.</summary>
    private SiloEntry? TargetOf(ClusterMap map, ushort ns, BlockId group)
    {
        if (node.NamespaceOf(ns) is not { IsMutable: false } descriptor) return null;
        int copies = map.Settings.ReplicasOf(descriptor);
        Holders holders = Holders.Of(map, copies + 1, group);
        return holders.Count > copies && holders[0] == map.IndexOf(node.Self) ? map.Silos[holders[copies]] : null;
    }

    /// <summary>Ends what is not read so much any more, or has another order now.</summary>
    private void Cool(ClusterMap map)
    {
        lock (gate)
        {
            foreach ((BlockId group, Hot one) in hot.ToList())
            {
                bool isRead = rates.RateOf(group) >= node.Options.HotReadsPerSecond / 2.0;
                if (!isRead || TargetOf(map, one.Ns, group)?.Name != one.Silo) hot.Remove(group);
            }

            Volatile.Write(ref count, hot.Count);
        }
    }

    private async ValueTask RenewAsync(ClusterMap map)
    {
        List<(BlockId Group, Hot One)> due;
        lock (gate)
        {
            due = [.. hot.Where(each => node.Time.GetElapsedTime(each.Value.ToldAt) >= renewEvery).Select(each => (each.Key, each.Value))];
        }

        foreach (IGrouping<string, (BlockId Group, Hot One)> ofSilo in due.GroupBy(each => each.One.Silo))
        {
            (BlockId Group, Hot One)[] some = [.. ofSilo];
            bool[]? told = await TellAsync(map, ofSilo.Key, [.. some.Select(each => each.Group)]);
            lock (gate)
            {
                for (int i = 0; i < some.Length; i++)
                {
                    if (told?[i] == true) hot[some[i].Group] = some[i].One with { ToldAt = node.Time.GetTimestamp() };
                    else hot.Remove(some[i].Group);
                }

                Volatile.Write(ref count, hot.Count);
            }
        }
    }

    /// <summary>Gives new hot groups to the silos that are to hold them too.</summary>
    private async ValueTask HeatAsync(ClusterMap map)
    {
        List<(ushort Ns, BlockId Group)> some;
        lock (gate)
        {
            some = [.. candidates];
            candidates.Clear();
        }

        var targets = new Dictionary<string, List<(ushort Ns, BlockId Group)>>(StringComparer.Ordinal);
        foreach ((ushort ns, BlockId group) in some)
        {
            if (TargetOf(map, ns, group) is not { } silo) continue;
            if (targets.TryGetValue(silo.Name, out List<(ushort Ns, BlockId Group)>? groups)) groups.Add((ns, group));
            else targets.Add(silo.Name, [(ns, group)]);
        }

        foreach ((string silo, List<(ushort Ns, BlockId Group)> groups) in targets) await HeatAsync(map, silo, groups);
    }

    private async ValueTask HeatAsync(ClusterMap map, string silo, List<(ushort Ns, BlockId Group)> groups)
    {
        if (await TellAsync(map, silo, [.. groups.Select(each => each.Group)]) is not { } told) return;
        List<(ushort Ns, BlockId Group)> taken = [.. groups.Where((_, i) => told[i])];
        NodeDeadline deadline = node.Deadline(HotHeld.Lasts / 2);
        foreach (GroupBlocks blocks in await copy.FindAsync(taken.Select(each => each.Group).ToHashSet()))
        {
            if (!(await copy.CopyAsync(map.Silos[map.IndexOf(silo)], blocks, deadline)).IsOk) return;
        }

        lock (gate)
        {
            foreach ((ushort ns, BlockId group) in taken) hot[group] = new Hot(ns, silo, node.Time.GetTimestamp());
            Volatile.Write(ref count, hot.Count);
        }
    }

    private async ValueTask<bool[]?> TellAsync(ClusterMap map, string silo, BlockId[] groups)
    {
        Result<Answered<bool[]>> answer = await calls.HaveAsync(
            map.Silos[map.IndexOf(silo)], map, default, groups, node.Options.PeerDeadline, BlockOps.Hot);
        return answer.IsOk ? answer.Value.Value : null;
    }

    /// <summary>A group with one copy more.</summary>
    private readonly record struct Hot(ushort Ns, string Silo, long ToldAt);
}
