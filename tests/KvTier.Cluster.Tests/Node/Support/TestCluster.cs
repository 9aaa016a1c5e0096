namespace KvTier.Cluster.Tests.Node;

/// <summary>Silos in one thread, over stores in memory, and a map that the test changes.</summary>
internal sealed class TestCluster(TestLoop loop, ClusterOptions? options = null)
{
    private readonly Dictionary<string, TestSilo> silos = new(StringComparer.Ordinal);
    private readonly Random random = new(1);

    public TestLoop Loop => loop;

    public ClusterOptions Options => options ?? new ClusterOptions();

    public ClusterState State { get; private set; } = new(
        0, new ClusterMap("test", 0, 0, [], new ClusterSettings(), new Dictionary<BlockId, string>()), [],
        new Dictionary<string, SiloLoad>());

    public ClusterMap Map => State.Map;

    public IReadOnlyDictionary<string, TestSilo> Silos => silos;

    public TestSilo this[string name] => silos[name];

    /// <summary>Runs a test over a number of silos named a, b, c and so on, which are settled when it begins.</summary>
    public static void Run(int count, int replicas, Func<TestCluster, Task> test, ClusterOptions? options = null)
    {
        var loop = new TestLoop();
        loop.Run(async () =>
        {
            var cluster = new TestCluster(loop, options);
            cluster.Change(settings: new ClusterSettings { Replicas = replicas });
            for (int i = 0; i < count; i++) cluster.Add(((char)('a' + i)).ToString());
            cluster.Publish();
            await cluster.SettleAsync();
            await test(cluster);
            foreach (TestSilo silo in cluster.silos.Values.Where(silo => silo.IsUp)) await silo.Node.DisposeAsync();
        });
    }

    /// <summary>Starts a silo and makes it a member.</summary>
    public TestSilo Add(string name, MemoryStore? store = null, bool publish = false)
    {
        var entry = new SiloEntry
        {
            Name = name,
            Endpoint = $"{name}:1",
            CapacityBytes = 1 << 30,
            Protocol = 1,
            DiskFormat = 1,
            JoinedEpoch = Map.Epoch + 1,
        };
        var silo = new TestSilo(this, entry, store ?? new MemoryStore(), new Random(random.Next()));
        silos[name] = silo;
        Change([.. Map.Silos.Where(other => other.Name != name), entry]);
        silo.Membership.Take();
        silo.Node.Start();
        if (publish) Publish();
        return silo;
    }

    /// <summary>Ends a silo at once, without a word.</summary>
    public void Crash(string name)
    {
        silos[name].IsUp = false;
        _ = silos[name].Node.DisposeAsync();
    }

    /// <summary>Takes a silo out of the map.</summary>
    public void Remove(string name, bool publish = true)
    {
        Change([.. Map.Silos.Where(other => other.Name != name)]);
        if (publish) Publish();
    }

    public void Drain(string name)
    {
        Change([.. Map.Silos.Select(silo => silo.Name == name ? silo with { Draining = true } : silo)]);
        Publish();
    }

    public Result<ClusterState> Commit(ClusterChange change)
    {
        if (change.Epoch != Map.Epoch) return new KvError(ErrorCode.Conflict, "epoch", $"{change.Epoch}", $"{Map.Epoch}");
        Change(change.Silos, change.Settings, change.Moved);
        return State;
    }

    public void Change(
        IReadOnlyList<SiloEntry>? members = null, ClusterSettings? settings = null,
        IReadOnlyDictionary<BlockId, string?>? changes = null)
    {
        var moved = new Dictionary<BlockId, string>(Map.Moved);
        foreach ((BlockId group, string? silo) in changes ?? new Dictionary<BlockId, string?>())
        {
            if (silo is null) moved.Remove(group);
            else moved[group] = silo;
        }

        long epoch = Map.Epoch + 1;
        var map = new ClusterMap(
            "test", epoch, members is null ? Map.MembersEpoch : epoch, members ?? Map.Silos, settings ?? Map.Settings, moved);
        State = State with { Revision = State.Revision + 1, Map = map };
    }

    /// <summary>Tells every silo that hears of changes the newest state, with the newest loads.</summary>
    public void Publish()
    {
        var loads = new Dictionary<string, SiloLoad>(State.Loads);
        foreach (TestSilo silo in silos.Values.Where(silo => silo.IsUp && !silo.Membership.IsFrozen))
            loads[silo.Name] = silo.Membership.LoadOf!();
        State = State with { Revision = State.Revision + 1, Loads = loads };
        foreach (TestSilo silo in silos.Values.Where(silo => silo.IsUp && !silo.Membership.IsFrozen)) silo.Membership.Take();
    }

    /// <summary>Waits until every member that is up has handed over everything, and all know it.</summary>
    public async Task SettleAsync(TimeSpan? longest = null)
    {
        await Loop.UntilAsync(
            () => Members.All(silo => silo.Node.SettledEpoch == Map.Epoch), longest,
            () => string.Join(", ", Members.Select(silo => $"{silo.Name} {silo.Node.SettledEpoch} of {Map.Epoch}")));
        Publish();
    }

    public IEnumerable<TestSilo> Members => Map.Silos.Select(silo => silos[silo.Name]).Where(silo => silo.IsUp);

    /// <summary>Members that have a block.</summary>
    public string[] HoldersOf(TestBlock block) => [.. Members.Where(silo => silo.Has(block)).Select(silo => silo.Name)];

    /// <summary>Names of those that are to have a block.</summary>
    public string[] AskedFor(TestBlock block)
    {
        Span<int> found = stackalloc int[Map.Settings.ReplicasOf(block.Namespace)];
        int count = Map.FindHolders(block.Group, found);
        return [.. found[..count].ToArray().Select(index => Map.Silos[index].Name)];
    }

    public TestSilo OwnerOf(TestBlock block) => silos[Map.Silos[Map.OwnerOf(block.Group)].Name];
}
