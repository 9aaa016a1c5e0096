namespace KvTier.Cluster.Tests;

/// <summary>A cluster as the planner sees it, whose plans can be carried out at once.</summary>
internal sealed class LendingModel
{
    private readonly Dictionary<BlockId, GroupLoad> groups = [];
    private readonly Dictionary<string, long> fill = new(StringComparer.Ordinal);
    private readonly HashSet<string> silent = new(StringComparer.Ordinal);
    private ulong next = 1;

    private LendingModel(IEnumerable<SiloEntry> silos, int replicas) => Map = new ClusterMap(
        "t", 1, 1, silos, new ClusterSettings { Replicas = replicas }, new Dictionary<BlockId, string>());

    public ClusterMap Map { get; private set; }

    public static LendingModel Even(int silos, long capacity, int replicas = 1) =>
        new("abcdefgh"[..silos].Select(name => ModelSilo.Entry($"{name}") with { CapacityBytes = capacity }), replicas);

    public static LendingModel Random(Random random)
    {
        int silos = random.Next(2, 8);
        var model = new LendingModel(
            "abcdefgh"[..silos].Select(name => ModelSilo.Entry($"{name}") with
            {
                CapacityBytes = random.Next(500, 3000),
                Zone = $"{random.Next(2)}",
                Draining = random.Next(12) == 0,
            }),
            random.Next(1, 3));
        foreach (SiloEntry silo in model.Map.Silos)
        {
            if (silo.Draining && model.Map.Silos.Any(other => !other.Draining)) continue;
            BlockId[] added = model.AddGroups(silo.Name, random.Next(0, 25), random.Next(20, 120));
            foreach (BlockId group in added) model.Heat(group, random.Next(9));
        }

        return model;
    }

    /// <summary>Adds groups whose home is a silo.</summary>
    public BlockId[] AddGroups(string home, int count, long bytes)
    {
        var added = new List<BlockId>();
        while (added.Count < count)
        {
            var group = new BlockId(next++, 9);
            if (Map.Silos[Map.HomeOf(group)].Name != home) continue;
            groups[group] = new GroupLoad(group, bytes, Map.Settings.Replicas);
            added.Add(group);
        }

        return [.. added];
    }

    public void Heat(BlockId group, double reads) => groups[group] = groups[group] with { ReadsPerSecond = reads };

    public void Remove(BlockId group) => groups.Remove(group);

    public void RemoveAllOf(string owner)
    {
        foreach (BlockId group in groups.Keys.Where(group => Map.Silos[Map.OwnerOf(group)].Name == owner).ToList()) groups.Remove(group);
    }

    /// <summary>Bytes that a silo holds beside the groups.</summary>
    public void Fill(string silo, long bytes) => fill[silo] = bytes;

    public void Silence(string silo) => silent.Add(silo);

    public string LastHolderOf(BlockId group)
    {
        Span<int> holders = stackalloc int[Map.Settings.Replicas];
        return Map.Silos[holders[Map.FindHolders(group, holders) - 1]].Name;
    }

    public RebalancePlan Plan(ClusterOptions options, int movesMax = 1000) =>
        RebalancePlanner.Plan(Map, Loads(), groups.Values, options, movesMax);

    /// <summary>Makes all moves of a plan: a group that goes home has no entry any more.</summary>
    public void Apply(RebalancePlan plan)
    {
        var moved = new Dictionary<BlockId, string>(Map.Moved);
        foreach (PlannedMove move in plan.Moves)
        {
            if (Map.Silos[Map.HomeOf(move.Group)].Name == move.To) moved.Remove(move.Group);
            else moved[move.Group] = move.To;
        }

        Map = new ClusterMap("t", Map.Epoch + 1, 1, Map.Silos, Map.Settings, moved);
        Dictionary<string, SiloLoad> loads = Loads();
        foreach (SiloOutlook silo in plan.Silos.Where(silo => !silent.Contains(silo.Name)))
            Assert.Equal(silo.UsedBytesAfter, loads[silo.Name].UsedBytes);
    }

    /// <summary>True when one can go from a silo to who owes it, and on, and come back.</summary>
    public bool HasCircle()
    {
        (int From, int To)[] debts = [.. Map.Moved.Select(each => (Map.HomeOf(each.Key), Map.IndexOf(each.Value))).Distinct()];
        var reach = new bool[Map.Silos.Count, Map.Silos.Count];
        foreach ((int from, int to) in debts) reach[from, to] = true;
        for (int k = 0; k < Map.Silos.Count; k++)
        {
            for (int i = 0; i < Map.Silos.Count; i++)
            {
                for (int j = 0; j < Map.Silos.Count; j++) reach[i, j] |= reach[i, k] && reach[k, j];
            }
        }

        return Enumerable.Range(0, Map.Silos.Count).Any(i => reach[i, i]);
    }

    private Dictionary<string, SiloLoad> Loads()
    {
        var used = Map.Silos.ToDictionary(silo => silo.Name, silo => fill.GetValueOrDefault(silo.Name), StringComparer.Ordinal);
        Span<int> holders = stackalloc int[Map.Settings.Replicas];
        foreach (GroupLoad group in groups.Values)
        {
            foreach (int holder in holders[..Map.FindHolders(group.Group, holders)]) used[Map.Silos[holder].Name] += group.Bytes;
        }

        return used.Where(each => !silent.Contains(each.Key))
            .ToDictionary(each => each.Key, each => new SiloLoad { UsedBytes = each.Value });
    }
}
