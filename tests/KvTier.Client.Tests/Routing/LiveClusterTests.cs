using System.Diagnostics;
using KvTier.Client.Tests.Live;
using KvTier.Silo;

namespace KvTier.Client.Tests.Routing;

/// <summary>The routed client against real silos, while the cluster stays and while it changes.</summary>
public sealed class LiveClusterTests
{
    [Fact]
    public async Task EveryVerb_OverThreeSilos_DoesWhatItDoesOnOne()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(3);
        (KvClusterClient client, KvClusterNamespace ns) = await cluster.ConnectAsync();
        await using (client)
        {
            var prompt = new Prompt(ns, "p", 300);
            Assert.True(prompt.Groups.Select(group => client.Map!.OwnerOf(group)).Distinct().Count() > 1, "the prompt lies on one silo");
            var statuses = new PutStatus[300];
            Assert.Equal(new PutSummary(300, 0, 0, null), (await ns.PutAsync(prompt.Puts, statuses)).Value);
            Assert.All(statuses, status => Assert.Equal(PutStatus.Stored, status));
            Assert.Equal(new PutSummary(0, 300, 0, null), (await ns.PutAsync(prompt.Puts)).Value);
            Assert.All(await prompt.GetAsync(ns), result => Assert.Equal(BlockStatus.HostHit, result.Status));

            var tiers = new TierSet[300];
            Assert.Equal(300, (await ns.PrefixAsync(prompt.Ids, prompt.Groups, tiers, touch: true)).Value);
            Assert.All(tiers, tier => Assert.Equal(TierSet.Host, tier));
            Assert.Equal(300, (await ns.TouchAsync(prompt.Ids, prompt.Groups)).Value);
            Assert.Equal(300, (await ns.PinAsync(prompt.Ids, TimeSpan.FromMinutes(1), prompt.Groups)).Value);
            var descriptions = new BlockDescription[300];
            Assert.Equal(300, (await ns.DescribeAsync(prompt.Ids, descriptions, prompt.Groups)).Value);
            Assert.All(descriptions, description => Assert.True(description.PinnedUntilUnixMs > 0));
            Assert.Equal(300, (await ns.UnpinAsync(prompt.Ids, prompt.Groups)).Value);
            Assert.Equal(300, (await ns.PrefetchAsync(prompt.Ids, prompt.Groups)).Value);

            // Without block 70, in the second to last run, the prefix ends there whatever comes after it.
            var done = new bool[1];
            Assert.Equal(1, (await ns.DeleteAsync(prompt.Ids.AsMemory(70, 1), prompt.Groups.AsMemory(70, 1), done)).Value);
            Assert.Equal([true], done);
            Assert.Equal(70, (await ns.PrefixAsync(prompt.Ids, prompt.Groups)).Value);
            BlockResult[] results = await prompt.GetAsync(ns);
            Assert.Equal(MissReason.Deleted, results[70].Reason);
            Assert.Equal(299, results.Count(result => result.IsHit));
            Assert.Equal(0, client.Figures.ReroutedBlocks);
        }
    }

    [Fact]
    public async Task PutAndGet_WhileASiloJoinsAndAnotherLeaves_NeitherFailNorGiveWrongBytes()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(3, replicas: 2);
        (KvClusterClient client, KvClusterNamespace ns) = await cluster.ConnectAsync();
        await using (client)
        {
            using var stop = new CancellationTokenSource();
            Task<int>[] load = [.. Enumerable.Range(0, 3).Select(worker => Task.Run(() => LoadAsync(ns, worker, stop.Token)))];
            await cluster.AddAsync("d", replicas: 2);
            await cluster.SettledAsync();
            await HearsAsync(client, ["a", "b", "c", "d"]);
            await cluster.RemoveAsync(cluster.Hosts[0]);
            await cluster.SettledAsync();
            await stop.CancelAsync();
            Assert.All(await Task.WhenAll(load), rounds => Assert.True(rounds > 0));
            await HearsAsync(client, ["b", "c", "d"]);
            Assert.True(client.Figures.MapChanges >= 3, $"{client.Figures}");
        }
    }

    [Fact]
    public async Task Get_OfASiloOutsideOfACluster_WorksAsWithOneThatOwnsEverything()
    {
        await using Live.LiveSilo silo = await Live.LiveSilo.StartAsync();
        KvClusterClient client = (await KvClusterClient.ConnectAsync(LiveCluster.PatientOptions([$"unix://{silo.SocketPath}"]))).Value;
        await using (client)
        {
            KvClusterNamespace ns = (await client.OpenNamespaceAsync(LiveCluster.Opaque)).Value;
            var prompt = new Prompt(ns, "p", 40, length: 50_000);
            Assert.Equal(40, (await ns.PutAsync(prompt.Puts)).Value.Stored);
            Assert.All(await prompt.GetAsync(ns), result => Assert.True(result.IsHit));
            Assert.Equal((0, 1), (client.Map!.Epoch, client.Map.Silos.Count));
        }
    }

    [Fact]
    public async Task Lease_OfASiloWithASocket_GivesItsBlocksInSharedMemory_AndLeavesTheOthers()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(2);
        SiloHost local = cluster.Hosts[1];
        (KvClusterClient client, KvClusterNamespace ns) = await cluster.ConnectAsync(options =>
        {
            options.Endpoints = [$"unix://{local.Options.UnixSocket}"];
            options.Silo.Transport = TransportMode.Auto;
        });
        await using (client)
        {
            var prompt = new Prompt(ns, "p", 200);
            Assert.Equal(200, (await ns.PutAsync(prompt.Puts)).Value.Stored);
            var leases = new BlockLease[200];
            int hits = (await ns.LeaseAsync(prompt.Ids, leases, prompt.Groups)).Value;
            int owned = prompt.Groups.Count(group => client.Map!.Silos[client.Map.OwnerOf(group)].Name == local.Options.Name);
            Assert.Equal(owned, hits);
            for (int i = 0; i < leases.Length; i++)
            {
                if (leases[i].IsHit) Assert.True(leases[i].Verify() && leases[i].Memory.Span.SequenceEqual(prompt.Puts[i].Payload.Span));
                else Assert.Equal(MissReason.Moved, leases[i].Reason);
                leases[i].Dispose();
            }
        }
    }

    [Fact]
    public async Task Lease_OfWhatMovedFromSocketToSocket_IsAskedForWhereItIs()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(2);
        (KvClusterClient client, KvClusterNamespace ns) = await cluster.ConnectAsync(options =>
        {
            // Both are in reach, although the first one's answer has the whole map.
            options.Endpoints = [.. cluster.Hosts.Select(host => $"unix://{host.Options.UnixSocket}")];
            options.Silo.Transport = TransportMode.Auto;
            options.MapInterval = TimeSpan.FromHours(1);
        });
        await using (client)
        {
            var prompt = new Prompt(ns, "p", 200);
            Assert.Equal(200, (await ns.PutAsync(prompt.Puts)).Value.Stored);
            string owner = client.Map!.Silos[client.Map.OwnerOf(prompt.Groups[0])].Name;
            SiloHost other = cluster.Hosts.Single(host => host.Options.Name != owner);
            await using KvTierClient admin = (await KvTierClient.ConnectAsync(
                new KvTierClientOptions { Endpoint = $"tcp://{other.Endpoints.Native}" })).Value;
            Assert.Null((await admin.ClusterAdminAsync(
                "move", [prompt.Groups[0].ToString(), other.Options.Name], TimeSpan.FromSeconds(60))).Error);

            // The former owner serves what it has until it knows the new map; either way every lease has the right bytes.
            var watch = Stopwatch.StartNew();
            while (client.Map!.Silos[client.Map.OwnerOf(prompt.Groups[0])].Name == owner)
            {
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), "the client never heard of the move");
                await LeaseAllAsync(ns, prompt);
            }

            await LeaseAllAsync(ns, prompt);
        }

        static async Task LeaseAllAsync(KvClusterNamespace ns, Prompt prompt)
        {
            var leases = new BlockLease[200];
            Assert.Equal(200, (await ns.LeaseAsync(prompt.Ids, leases, prompt.Groups)).Value);
            for (int i = 0; i < leases.Length; i++)
            {
                Assert.True(leases[i].Memory.Span.SequenceEqual(prompt.Puts[i].Payload.Span));
                leases[i].Dispose();
            }
        }
    }

    [Fact]
    public async Task Recall_OfSequencesThatPartedSinceTheMapOfTheClient_AsksEachOwner()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(1);
        (KvClusterClient client, _) = await cluster.ConnectAsync(options => options.MapInterval = TimeSpan.FromHours(1));
        await using (client)
        {
            KvClusterNamespace ns = (await client.OpenNamespaceAsync(KvText.Namespace)).Value;
            string[] names = [.. Enumerable.Range(0, 16).Select(i => $"chat-{i:00}")];
            var options = new SequenceOptions { Digests = [Selectors.TriForce.Digest] };
            byte[] block = new byte[KvText.Profile.BlockBytes];
            Assert.Equal(1, (await ns.PutAsync(new PutBlock[] { new("k"u8.ToArray(), block) })).Value.Stored);
            foreach (string name in names)
            {
                KvClusterSequence sequence = (await ns.OpenSequenceAsync(name, options)).Value;
                Assert.Null((await sequence.AppendAsync(new[] { ns.IdOf("k"u8) }, KvText.Profile.BlockTokens)).Error);
            }

            await cluster.AddAsync("b");
            await cluster.SettledAsync();
            Assert.Single(client.Map!.Silos);
            RecallQueryItem[] items = [.. names.Select(name => RecallTests.Item(0, 0) with { Sequence = name })];
            Selector all = Selectors.TriForce with { Budget = new RecallBudget(BudgetKind.Share, 1) };
            RecallQuery query = RecallTests.Query(RecallMode.Attend, items, all);
            Result<RecallItemResult[]> answer = await ns.RecallAsync(query);
            Assert.Null(answer.Error);
            Assert.Equal(names.Length, answer.Value.Length);
            Assert.Equal(2, names.Select(name => client.Map!.OwnerOf(BlockGroups.OfSequence(ns.Id, name))).Distinct().Count());
        }
    }

    [Fact]
    public async Task Sequence_OfACluster_IsOpenedOnItsOwnerAndListedFromAll()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(3);
        (KvClusterClient client, _) = await cluster.ConnectAsync();
        await using (client)
        {
            var llama = new NamespaceDescriptor("test", Profiles.Llama31_8B);
            KvClusterNamespace ns = (await client.OpenNamespaceAsync(llama)).Value;
            string[] names = [.. Enumerable.Range(0, 12).Select(i => $"chat-{i:00}")];
            foreach (string name in names) Assert.Equal(name, (await ns.OpenSequenceAsync(name)).Value.Name);
            Assert.True(names.Select(name => client.Map!.OwnerOf(BlockGroups.OfSequence(ns.Id, name))).Distinct().Count() > 1);
            Assert.Equal(names, (await ns.ListSequencesAsync()).Value.Select(sequence => sequence.Name));
            KvClusterSequence found = (await ns.FindSequenceAsync("chat-05")).Value;
            Assert.Equal(0, (await found.DescribeAsync()).Value.Tokens);
            Assert.Equal("chat-05", (await found.CloseAsync()).Value.Name);
            Assert.Equal(11, (await ns.ListSequencesAsync()).Value.Length);
        }
    }

    /// <summary>Waits until a client's map has these silos. An answer that was on its way before says nothing of them.</summary>
    private static async Task HearsAsync(KvClusterClient client, string[] names)
    {
        var watch = Stopwatch.StartNew();
        while (!(await client.RefreshAsync()).Value.Silos.Select(silo => silo.Name).SequenceEqual(names))
        {
            Assert.True(watch.Elapsed < LiveSilo.Patience, $"{string.Join(' ', client.Map!.Silos.Select(silo => silo.Name))}");
            await Task.Delay(5);
        }
    }

    /// <summary>Puts prompts and reads them back until it is stopped. Every put is acknowledged, every get a hit.</summary>
    private static async Task<int> LoadAsync(KvClusterNamespace ns, int worker, CancellationToken stop)
    {
        int round = 0;
        Prompt? before = null;
        for (; !stop.IsCancellationRequested || round == 0; round++)
        {
            var prompt = new Prompt(ns, $"{worker}/{round}", 20, length: 2000);
            var options = new PutOptions { Ack = AckLevel.Replica };
            Result<PutSummary> put = await ns.PutAsync(prompt.Puts, default, options, CancellationToken.None);
            Assert.True(put.IsOk && put.Value.AllAcknowledged, $"round {round}: {put.Error} {(put.IsOk ? put.Value.Error : null)}");
            Assert.All(await prompt.GetAsync(ns), result => Assert.True(result.IsHit, $"round {round}: {result}"));
            if (before is not null) Assert.All(await before.GetAsync(ns), result => Assert.True(result.IsHit, $"round {round}: {result}"));
            before = prompt;
            await Task.Delay(5, CancellationToken.None);
        }

        return round;
    }
}
