using KvTier.Client;

namespace KvTier.ProcessTests.Interop;

/// <summary>A client in .NET and one in Python at the same silos see each other's blocks and leases.</summary>
public abstract class InteropTests
{
    private readonly InteropSilos silos;
    private readonly IPeer[] peers;

    protected InteropTests(InteropSilos silos)
    {
        this.silos = silos;
        peers = [new DotnetPeer(silos.Client), silos.Peer];
    }

    /// <summary>Which of the two puts or leases; the other one gets, deletes or overwrites.</summary>
    public static TheoryData<string> Languages => [".NET", "Python"];

    [Theory]
    [MemberData(nameof(Languages))]
    public async Task Put_ByOne_IsTheOthersByteForByte(string language)
    {
        (IPeer putter, IPeer getter) = Roles(language);
        string tenant = TenantOf("put", language);
        foreach (BlockSet blocks in new[]
        {
            BlockSet.Of(tenant, "large", 40), BlockSet.Of(tenant, "small", 20, length: 300),
            BlockSet.Of(tenant, "model", 24) with { IsModel = true, Prefix = BlockSet.Of(tenant, "model", 24).Keys },
        })
        {
            AssertAll("stored", await putter.PutAsync(blocks));
            AssertAll("right", await getter.GetAsync(blocks));
            AssertAll("present", await getter.PutAsync(blocks));
            BlockSet some = blocks with { Keys = blocks.Keys[..5] };
            AssertAll("True", await getter.DeleteAsync(some));
            AssertAll("deleted", await putter.GetAsync(some));
            AssertAll("right", await putter.GetAsync(blocks with { Keys = blocks.Keys[5..] }));
            AssertAll("never_stored", await getter.GetAsync(blocks with { Keys = ["none"], Prefix = null }));
        }
    }

    [Fact]
    public async Task Placement_OfBlocksPrefixesAndSequences_IsTheSameForBoth()
    {
        BlockSet single = BlockSet.Of("place", "single", 300);
        BlockSet prefix = BlockSet.Of("place", "prefix", 300);
        prefix = prefix with { Prefix = prefix.Keys };
        var owners = new HashSet<string>();
        foreach (BlockSet blocks in new[] { single, prefix })
        {
            string[] mine = await peers[0].PlacementAsync(blocks, silos.Count);
            Assert.Equal(mine, await peers[1].PlacementAsync(blocks, silos.Count));
            foreach (string line in mine) owners.Add(line.Split(' ') is [_, _, var owner, ..] ? owner : "");
        }

        for (int i = 0; i < 100; i++)
            Assert.Equal(await peers[0].SequenceOwnerAsync("place", $"s-{i}"), await peers[1].SequenceOwnerAsync("place", $"s-{i}"));
        Assert.Equal(silos.Count, owners.Count);
    }

    [Theory]
    [MemberData(nameof(Languages))]
    public async Task Put_ByOne_LiesWhereTheOtherTakesItToBe(string language)
    {
        (IPeer putter, IPeer other) = Roles(language);
        BlockSet blocks = BlockSet.Of(TenantOf("owner", language), "b", 60);
        AssertAll("stored", await putter.PutAsync(blocks));
        string[] placed = await other.PlacementAsync(blocks, 1);
        foreach (string socket in silos.Sockets)
        {
            await using KvTierClient client = await silos.ConnectToAsync(socket);
            var descriptor = new NamespaceDescriptor(blocks.Tenant, Profiles.Opaque);
            KvNamespace ns = (await client.OpenNamespaceAsync(descriptor, TestSilo.Cancel)).Value;
            var found = new BlockDescription[blocks.Keys.Length];
            BlockId[] ids = [.. blocks.Keys.Select(key => ns.IdOf(System.Text.Encoding.UTF8.GetBytes(key)))];
            Assert.Null((await ns.DescribeAsync(ids, found, cancellationToken: TestSilo.Cancel)).Error);
            string name = client.Silo!.Name;
            for (int i = 0; i < ids.Length; i++)
            {
                bool isHis = silos.Count == 1 || placed[i].EndsWith($" {name}", StringComparison.Ordinal);
                Assert.Equal(isHis, found[i].Tiers != TierSet.None);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Languages))]
    public async Task Lease_OfWhatTheOtherPut_HoldsWhileTheOtherDeletesItAndPutsOtherBytes(string language)
    {
        (IPeer reader, IPeer writer) = Roles(language);
        BlockSet blocks = BlockSet.Of(TenantOf("delete", language), "b", 24, length: 50_000);
        AssertAll("stored", await writer.PutAsync(blocks));
        AssertAll("right", await reader.LeaseAsync("old", blocks));
        // What other calls have leased for a moment goes back a little later.
        await WaitForLeasesAsync(blocks.Keys.Length);

        AssertAll("True", await writer.DeleteAsync(blocks));
        AssertAll("deleted", await reader.GetAsync(blocks));
        AssertAll("right", await reader.LeasedAsync("old", blocks));
        BlockSet others = blocks with { Salt = "other" };
        AssertAll("stored", await writer.PutAsync(others));
        AssertAll("right", await reader.LeaseAsync("new", others));
        AssertAll("right", await reader.LeasedAsync("old", blocks));

        await reader.ReleaseAsync("old");
        await reader.ReleaseAsync("new");
        await WaitForLeasesAsync(0);
        AssertAll("right", await writer.GetAsync(others));
    }

    [Theory]
    [MemberData(nameof(Languages))]
    public async Task Lease_OfAValueThatTheOtherOverwrites_KeepsTheOldBytes(string language)
    {
        // In a cluster only the values of Redis clients change; both clients reach them natively, too.
        (IPeer reader, IPeer writer) = Roles(language);
        BlockSet values = BlockSet.Of("resp", $"overwrite-{language}", 24, length: 50_000);
        BlockSet newer = values with { Salt = "newer" };
        AssertAll("stored", await writer.PutAsync(values));
        AssertAll("right", await reader.LeaseAsync("value", values));
        AssertAll("stored", await writer.PutAsync(newer, overwrite: true));
        AssertAll("right", await reader.LeasedAsync("value", values));
        AssertAll("right", await reader.GetAsync(newer));
        await reader.ReleaseAsync("value");
        await WaitForLeasesAsync(0);

        BlockSet blocks = BlockSet.Of(TenantOf("overwrite", language), "b", 4);
        AssertAll("stored", await writer.PutAsync(blocks));
        string expected = silos.Count == 1 ? "stored" : "error put.flags";
        AssertAll(expected, await writer.PutAsync(blocks, overwrite: true));
    }

    [Theory]
    [MemberData(nameof(Languages))]
    public async Task Lease_WhileTheOtherFillsTheArena_HoldsAndWhatIsNotLeasedIsEvicted(string language)
    {
        (IPeer reader, IPeer writer) = Roles(language);
        string tenant = TenantOf("evict", language);
        BlockSet held = BlockSet.Of(tenant, "held", 24, length: 100_000), free = BlockSet.Of(tenant, "free", 24, length: 100_000);
        AssertAll("stored", await writer.PutAsync(held));
        AssertAll("stored", await writer.PutAsync(free));
        AssertAll("right", await reader.LeaseAsync("held", held));
        await FillUntilAsync(writer, free, "first", tiers => !tiers.Any(each => each.HasFlag(TierSet.Host)));
        AssertAll("right", await reader.LeasedAsync("held", held));
        Assert.All(await TiersAsync(held), each => Assert.True(each.HasFlag(TierSet.Host)));

        await reader.ReleaseAsync("held");
        await WaitForLeasesAsync(0);
        await FillUntilAsync(writer, held, "second", tiers => !tiers.Any(each => each.HasFlag(TierSet.Host)));
        AssertAll("right", await reader.GetAsync(held));
    }

    [Fact]
    public async Task Lease_OfAClientThatIsKilled_GoesBackToTheSilos()
    {
        BlockSet blocks = BlockSet.Of("killed", "b", 24, length: 50_000);
        AssertAll("stored", await peers[0].PutAsync(blocks));
        AssertAll("right", await peers[0].LeaseAsync("mine", blocks with { Keys = blocks.Keys[..4] }));
        await using (PythonPeer third = await silos.StartPeerAsync())
        {
            AssertAll("right", await third.LeaseAsync("his", blocks));
            await WaitForLeasesAsync(24);
            await third.KillAsync();
        }

        await WaitForLeasesAsync(4);
        AssertAll("right", await peers[0].LeasedAsync("mine", blocks with { Keys = blocks.Keys[..4] }));
        await peers[0].ReleaseAsync("mine");
        await WaitForLeasesAsync(0);
    }

    [Fact]
    public async Task Write_InPlaceByPython_IsLeasedInPlaceByDotnet()
    {
        BlockSet blocks = BlockSet.Of("write", "b", 30, length: 60_000);
        string[] written = [.. (await silos.Peer.AskAsync("write", new { tenant = "write", keys = blocks.Keys, length = blocks.Length }))
            .EnumerateArray().Select(each => each.ToString())];
        Assert.Contains("stored", written);
        BlockSet stored = blocks with { Keys = [.. blocks.Keys.Where((_, i) => written[i] == "stored")] };
        AssertAll("right", await peers[0].LeaseAsync("written", stored));
        await peers[0].ReleaseAsync("written");
        if (silos.Count == 1) Assert.Equal(blocks.Keys.Length, stored.Keys.Length);
    }

    [Fact]
    public async Task Hello_OfEnginesByBothClients_IsComparedBetweenThem()
    {
        // Several namespaces, as each has one silo that knows its engines.
        for (int i = 0; i < 4; i++)
        {
            string tenant = $"hello-{i}";
            KvClusterNamespace ns = (await silos.Client.OpenNamespaceAsync(
                new NamespaceDescriptor(tenant, Profiles.Opaque), TestSilo.Cancel)).Value;
            var mine = new Dictionary<string, string> { ["hash_algorithm"] = "sha256_cbor", ["seed"] = "0", ["dtype"] = "bf16" };
            Assert.Empty((await ns.HelloAsync("vllm", "1", "dotnet", mine, cancellationToken: TestSilo.Cancel)).Value.Differences);
            var theirs = new Dictionary<string, string>(mine) { ["hash_algorithm"] = "sha256" };
            JsonElement heard = await silos.Peer.AskAsync(
                "hello", new { tenant, engine = "vllm", version = "1", instance = "python", fields = theirs });
            Assert.Equal((2, true), (heard.GetProperty("engines").GetInt32(), heard.GetProperty("complete").GetBoolean()));
            JsonElement difference = Assert.Single(heard.GetProperty("differences").EnumerateArray());
            Assert.Equal(
                ["hash_algorithm", "sha256", "sha256_cbor", "vllm 1 at dotnet"],
                difference.EnumerateArray().Select(each => each.GetString()));

            var again = (await ns.HelloAsync("vllm", "1", "dotnet", mine, cancellationToken: TestSilo.Cancel)).Value;
            Assert.Equal((2, true), (again.Engines, again.Complete));
            Assert.Equal("vllm 1 at python", Assert.Single(again.Differences).Whose);
        }
    }

    private static string TenantOf(string test, string language) => $"{test}-{language.TrimStart('.').ToLowerInvariant()}";

    private static void AssertAll(string expected, string[] found) => Assert.All(found, each => Assert.Equal(expected, each));

    private (IPeer First, IPeer Second) Roles(string language) => peers[0].Name == language ? (peers[0], peers[1]) : (peers[1], peers[0]);

    private Task WaitForLeasesAsync(long count) => Cluster.TestCluster.WaitAsync(async () =>
    {
        long leased = await silos.LeasedSlotsAsync();
        return (leased == count, $"{leased} slots are leased");
    });

    /// <summary>Puts blocks until others are where they should be.</summary>
    private async Task FillUntilAsync(IPeer writer, BlockSet watched, string name, Func<TierSet[], bool> isDone)
    {
        // The arenas together have 96 MiB at most; this is several times as much.
        for (int round = 0; round < 50; round++)
        {
            TierSet[] tiers = await TiersAsync(watched);
            if (isDone(tiers)) return;
            AssertAll("stored", await writer.PutAsync(BlockSet.Of(watched.Tenant, $"{name}-{round}", 32, length: 400_000)));
        }

        Assert.Fail("what is not leased stays in host memory");
    }

    private async Task<TierSet[]> TiersAsync(BlockSet blocks)
    {
        KvClusterNamespace ns = (await silos.Client.OpenNamespaceAsync(
            new NamespaceDescriptor(blocks.Tenant, Profiles.Opaque), TestSilo.Cancel)).Value;
        BlockId[] ids = [.. blocks.Keys.Select(key => ns.IdOf(System.Text.Encoding.UTF8.GetBytes(key)))];
        var found = new BlockDescription[ids.Length];
        Assert.Null((await ns.DescribeAsync(ids, found, cancellationToken: TestSilo.Cancel)).Error);
        return [.. found.Select(each => each.Tiers)];
    }
}
