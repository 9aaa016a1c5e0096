using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A group that <c>kvtier cluster move</c> moves while it is written and read, and the silos that take part.</summary>
internal sealed class MovedGroup
{
    private static readonly TimeSpan longest = TimeSpan.FromSeconds(90);
    private readonly TestCluster cluster;
    private readonly AckLevel ack;
    private readonly BlockId id;

    public MovedGroup(TestCluster cluster, KvClusterClient client, ClusterBlocks all, long first, AckLevel ack)
    {
        this.cluster = cluster;
        this.ack = ack;
        First = first;
        Blocks = all.OfGroup(first);
        id = all.IdOf(first);
        ClusterMap map = client.Map!;
        var holders = new int[map.Settings.Replicas];
        int count = map.FindHolders(id, holders);
        From = cluster.Member(map.Silos[holders[0]].Name);
        To = cluster.Members.First(member => member.IsRunning && !holders.AsSpan(0, count).Contains(map.IndexOf(member.Name)));
        Bystander = cluster.Members.First(member => member.IsRunning && member != From && member != To);
    }

    public long First { get; }

    public ClusterBlocks Blocks { get; }

    /// <summary>The owner before the move.</summary>
    public TestMember From { get; }

    /// <summary>The owner after it, which holds nothing of the group before.</summary>
    public TestMember To { get; }

    public TestMember Bystander { get; }

    /// <summary>Begins to write and read it. Several such groups are to fit into one silo.</summary>
    public SteadyLoad Load() => new(Blocks, ack, writers: 1, readers: 1, First - 1, enough: 4_000);

    /// <summary>Moves it as an operator does, through a silo that has no part in it.</summary>
    public Task<KvtierRun> MoveAsync(TestMember to, params string[] more) =>
        KvtierRun.Async(["cluster", "move", $"{id}", to.Name, "-e", Bystander.Endpoint, "--deadline-s", "60", .. more]);

    /// <summary>Begins the move and kills one of its silos when that writes of a stage.</summary>
    /// <returns>What became of the command.</returns>
    public async Task<KvtierRun> KillAtAsync(TestMember victim, string stage)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        string direction = victim == From ? $"to {To.Name}" : $"from {From.Name}";
        victim.Process.OnErrorLine = line =>
        {
            if (!line.Contains($"Move of group {id} {direction}: {stage}", StringComparison.Ordinal)) return;
            reached.TrySetResult();
            _ = victim.Process.KillAsync();
        };
        Task<KvtierRun> move = MoveAsync(To, "--no-wait");
        await Task.WhenAny(reached.Task, move).WaitAsync(longest, TestSilo.Cancel);
        if (!reached.Task.IsCompleted && (await move).ExitCode != 0)
            Assert.Fail($"{victim.Name} never wrote \"{stage}\"; the command ended with {(await move).ExitCode}: {(await move).Error}");
        await reached.Task.WaitAsync(longest, TestSilo.Cancel);
        await victim.Process.KillAsync();
        return await move.WaitAsync(longest, TestSilo.Cancel);
    }

    /// <summary>
    /// Waits until each silo, asked to put the same new block of the group, takes it or says whose it is: just the owner by the map of all
    /// takes it.
    /// </summary>
    public Task AssertOneOwnerAsync(long number) => TestCluster.WaitAsync(async () =>
    {
        var took = new List<string>();
        var owners = new List<string>();
        int refused = 0;
        foreach (TestMember member in cluster.Members)
        {
            await using KvTierClient direct = await member.ConnectAsync();
            KvNamespace here = (await direct.OpenNamespaceAsync(new NamespaceDescriptor("test", Profiles.Opaque), TestSilo.Cancel)).Value;
            var block = new PutBlock(NumberedBlocks.Key(number), NumberedBlocks.Bytes(number), Group: id);
            var statuses = new PutStatus[1];
            // A put that has no answer has no statuses either.
            Result<PutSummary> put = await here.PutAsync(new[] { block }, statuses, cancellationToken: TestSilo.Cancel);
            if (!put.IsOk || statuses[0] is PutStatus.Refused) refused++;
            else if (statuses[0] is PutStatus.Stored or PutStatus.Present) took.Add(member.Name);
            ClusterMap map = (await direct.ClusterMapAsync(cancellationToken: TestSilo.Cancel)).Value.Map!;
            owners.Add(map.Silos[map.OwnerOf(id)].Name);
        }

        string seen = $"took it: {string.Join(", ", took)}; owners: {string.Join(", ", owners)}; refused it: {refused}";
        Assert.True(took.Count <= 1, seen);
        return (owners.TrueForAll(owner => took.SequenceEqual([owner])) && refused == 0, seen);
    });
}
