using KvTier.Cluster;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Silos come, go and give their groups away; blocks stay.</summary>
public sealed class ClusterChangeTests : ClusterTest
{
    [Fact]
    public async Task Join_OfAFourthSilo_TakesItsShareAndLosesNothing()
    {
        SiloHost[] silos = await StartClusterAsync(3);
        string[] keys = [.. Enumerable.Range(0, 90).Select(i => $"key-{i}")];
        foreach (SiloHost silo in silos)
        {
            string[] own = [.. keys.Where(key => OwnerOf(silo, key) == silo.Options.Name)];
            Blocks.Put(Connect(silo), [.. own.Select(key => (key, 30_000))]);
        }

        SiloHost fourth = await StartAsync(Options("d"));
        string[] taken = [.. keys.Where(key => OwnerOf(fourth, key) == "d")];
        Assert.NotEmpty(taken);

        // At once: what has not come yet is read through.
        RawClient client = Connect(fourth);
        foreach (string key in taken) Blocks.AssertRight(client, key, 30_000);
        await SettledAsync([.. silos, fourth]);
        foreach (string key in keys)
        {
            SiloHost owner = silos.Append(fourth).Single(silo => silo.Options.Name == OwnerOf(silo, key));
            Blocks.AssertRight(Connect(owner), key, 30_000);
        }

        await UntilAsync(() => keys.All(key => silos.Append(fourth).Count(silo => Has(silo, key)) == 1), "each block to be on one silo");
    }

    [Fact]
    public async Task Stop_OfAnOwnerWithTwoReplicas_LetsTheOtherAnswer()
    {
        SiloHost[] silos = await StartClusterAsync(3, replicas: 2);
        string[] keys = KeysOf(silos[0], 20);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(
            Connect(silos[0]), [.. keys.Select(key => (key, 20_000))], AckLevel.Replica);
        Assert.Null(Blocks.ReadPut(Connect(silos[0]).Ask(Opcode.Put, body, payload), keys.Length).Error);
        Assert.Null(await silos[0].StopAsync());
        await UntilAsync(() => silos[1].Cluster!.Map.Silos.Count == 2 && silos[2].Cluster!.Map.Silos.Count == 2, "the others to know");
        foreach (string key in keys)
        {
            SiloHost owner = silos.Skip(1).Single(silo => silo.Options.Name == OwnerOf(silo, key));
            Blocks.AssertRight(Connect(owner), key, 20_000);
        }
    }

    [Fact]
    public async Task Drain_OfASilo_GivesItsBlocksAway_AndUndrainTakesThemBack()
    {
        SiloHost[] silos = await StartClusterAsync(3);
        string[] keys = KeysOf(silos[2], 30);
        Blocks.Put(Connect(silos[2]), [.. keys.Select(key => (key, 10_000))]);
        Admin(silos[0], "drain", "c");
        await UntilAsync(() => keys.All(key => !Has(silos[2], key)), "the silo to give all away");
        foreach (string key in keys)
        {
            Assert.NotEqual("c", OwnerOf(silos[0], key));
            Blocks.AssertRight(Connect(silos.Single(silo => silo.Options.Name == OwnerOf(silos[0], key))), key, 10_000);
        }

        await UntilAsync(
            () => silos[1].ClusterStatus!.Silos.Single(silo => silo.Name == "c") is { Draining: true, Share: 0 }, "the status to say so");
        Admin(silos[1], "undrain", "c");
        await UntilAsync(() => keys.All(key => Has(silos[2], key)), "the silo to take them back");
    }

    [Fact]
    public async Task Delete_AtTheOwner_TakesTheReplicaToo()
    {
        SiloHost[] silos = await StartClusterAsync(3, replicas: 2);
        string key = KeysOf(silos[0], 1)[0];
        RawClient client = Connect(silos[0]);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [(key, 20_000)], AckLevel.Replica);
        Assert.Null(Blocks.ReadPut(client.Ask(Opcode.Put, body, payload), 1).Error);
        Assert.Equal(2, silos.Count(silo => Has(silo, key)));
        Assert.Equal([ItemStatus.Done], Delete(client, key));
        Assert.Equal(0, silos.Count(silo => Has(silo, key)));
        Assert.Equal([ItemStatus.Moved], Delete(Connect(silos.First(silo => OwnerOf(silo, key) != silo.Options.Name)), key));
    }

    [Theory]
    [InlineData("drain", "nobody", "silo")]
    [InlineData("move", "xyz", "cluster.verb")]
    [InlineData("replicas", "a/b", "cluster.verb")]
    [InlineData("explode", "a", "cluster.verb")]
    public async Task Admin_OfWhatCantBe_NamesTheField(string verb, string argument, string field)
    {
        SiloHost silo = (await StartClusterAsync(1))[0];
        Reply reply = Connect(silo).Ask(Opcode.ClusterAdmin, new ClusterAdminRequest(verb, [argument], 0).Write);
        Assert.Equal((ErrorCode.InvalidArgument, field), (reply.Error.Code, reply.Error.Field));
    }

    private void Admin(SiloHost silo, string verb, params string[] arguments) =>
        Connect(silo).Ask(Opcode.ClusterAdmin, new ClusterAdminRequest(verb, arguments, 0).Write).Ok();

    private static ItemStatus[] Delete(RawClient client, string key)
    {
        Reply reply = client.Ask(Opcode.Delete, buffer => IdsRequest.Write(buffer, client.Namespace, [client.Id(key)]));
        Assert.Null(StatusesResponse.TryRead(reply.Ok(), 1, out ReadOnlySpan<ItemStatus> statuses));
        return statuses.ToArray();
    }
}
