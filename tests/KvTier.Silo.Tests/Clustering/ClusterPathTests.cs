using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Clustering;

public sealed class ClusterPathTests : ClusterTest
{
    [Fact]
    public async Task Put_AtOwnerAndAtAnother_IsStoredAndMoved()
    {
        SiloHost[] silos = await StartClusterAsync(3);
        string key = KeysOf(silos[1], 1)[0];
        Assert.Equal([PutItemStatus.Moved], Blocks.Put(Connect(silos[0]), (key, 10_000)).Statuses);
        Assert.Equal([PutItemStatus.Stored], Blocks.Put(Connect(silos[1]), (key, 10_000)).Statuses);
        Assert.Equal(GetStatus.Moved, Blocks.Get(Connect(silos[2]), key)[0].Item.Status);
        Blocks.AssertRight(Connect(silos[1]), key, 10_000);
        Assert.Equal([false, true, false], silos.Select(silo => Has(silo, key)));
    }

    [Fact]
    public async Task Status_OfEachSilo_AgreesOnAll()
    {
        SiloHost[] silos = await StartClusterAsync(3);
        foreach (SiloHost silo in silos)
        {
            ClusterStatus status = ClusterStatus.Parse(
                StatResponse.Read(Connect(silo).Ask(Opcode.ClusterStatus, EmptyBody.Write).Ok()).Value)!;
            Assert.Equal((silo.Options.Name, "kvtier"), (status.Self, status.Cluster));
            Assert.Equal(["a", "b", "c"], status.Silos.Select(each => each.Name));
            Assert.All(status.Silos, each => Assert.True(each is { Member: true, Alive: true, Settled: true, Draining: false }));
            Assert.Equal(1.0, status.Silos.Sum(each => each.Share), 6);
            Assert.True(status.MayWrite);
        }

        ClusterMapResponse map = ClusterMapResponse.Read(Connect(silos[0]).Ask(Opcode.ClusterMap,
            new ClusterMapRequest(0).Write).Ok()).Value;
        Assert.Equal(silos.Select(silo => silo.Endpoints.Native!.ToString()), map.Map!.Silos.Select(silo => silo.Endpoint));
        ClusterMapResponse again = ClusterMapResponse.Read(
            Connect(silos[0]).Ask(Opcode.ClusterMap, new ClusterMapRequest(map.Epoch).Write).Ok()).Value;
        Assert.Null(again.Map);
    }

    [Fact]
    public async Task Put_WithAckReplica_IsOnBothHoldersWhenItIsAnswered()
    {
        SiloHost[] silos = await StartClusterAsync(3, replicas: 2);
        string[] keys = KeysOf(silos[0], 20);
        (PutItemStatus[] statuses, KvError? error) = Put(Connect(silos[0]), AckLevel.Replica, keys);
        Assert.Null(error);
        Assert.All(statuses, status => Assert.Equal(PutItemStatus.Stored, status));
        Assert.All(keys, key => Assert.Equal(2, silos.Count(silo => Has(silo, key))));
    }

    [Fact]
    public async Task Sequence_OpenedAtEachSilo_IsOneSilosAndTheOthersSayWhose()
    {
        SiloHost[] silos = await StartClusterAsync(3);
        SiloEntry owner = silos[0].Cluster!.Map.Silos[
            silos[0].Cluster!.Map.OwnerOf(BlockGroups.OfSequence(SequenceCalls.Namespace.Id, "chat"))];
        foreach (SiloHost silo in silos)
        {
            RawClient client = Connect(silo, SequenceCalls.Namespace);
            Reply open = client.Ask(Opcode.SequenceOpen,
                new SequenceOpenRequest(client.Namespace, 0, "chat", [SequenceCalls.Whole.Digest], null).Write);
            Reply describe = client.Ask(Opcode.SequenceDescribe, new SequenceRequest(client.Namespace, 0, "chat").Write);
            if (silo.Options.Name == owner.Name)
            {
                open.Ok();
                describe.Ok();
                continue;
            }

            foreach (Reply reply in new[] { open, describe })
            {
                Assert.True(MovedError.TryRead(reply.Error, out string endpoint, out long epoch), reply.Error.Message);
                Assert.Equal((owner.Name, owner.Endpoint, silo.Cluster!.Map.Epoch), (reply.Error.Value, endpoint, epoch));
            }
        }
    }

    [Fact]
    public async Task Get_FromASiloWhoseMapIsOlder_WaitsForTheNewerOne()
    {
        SiloHost[] silos = await StartClusterAsync(2);
        RawClient client = Connect(silos[0]);
        long epoch = silos[0].Cluster!.Map.Epoch;
        Task<SiloHost> joining = StartAsync(Options("c"));
        Reply reply = client.Ask(Opcode.Get,
            buffer => GetRequest.Write(buffer, client.Namespace, 0, [client.Id("x")], default, new Route(epoch + 1, RouteRole.Client, [])));
        Assert.Null(GetResponseReader.TryRead(reply.Ok(), 1, 0, new Limits(), out GetResponseReader answer));
        Assert.True(answer.Epoch > epoch, $"epoch {answer.Epoch}, asked by {epoch + 1}");
        await joining;
    }

    private static (PutItemStatus[] Statuses, KvError? Error) Put(RawClient client, AckLevel ack, string[] keys)
    {
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [.. keys.Select(key => (key, 20_000))], ack);
        return Blocks.ReadPut(client.Ask(Opcode.Put, body, payload), keys.Length);
    }
}
