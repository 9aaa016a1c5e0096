using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>A silo outside of a cluster can't give <c>ack=replica</c>, and says so instead of giving less.</summary>
public sealed class ReplicaAckTests : SiloTest
{
    [Fact]
    public async Task Put_AckOfReplicasOutsideOfACluster_IsRefusedAndTheConnectionGoesOn()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 100_000)], AckLevel.Replica);
        AssertRefused(client.Ask(Opcode.Put, body, payload).Error);
        Assert.Equal(GetStatus.NeverStored, Blocks.Get(client, "a").Single().Item.Status);
        Blocks.Put(client, ("a", 100_000));
        Blocks.AssertRight(client, "a", 100_000);
    }

    [Fact]
    public async Task Commit_AckOfReplicasOutsideOfACluster_IsRefusedAndTheReservationEndsWithTheConnection()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        Reply reserved = client.Ask(Opcode.LocalReserve, b =>
        {
            LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(b, client.Namespace, PutFlags.None, 0, 0, 0, 1);
            writer.Add("a"u8, 1000, 0);
        });
        Assert.Null(LocalReserveResponseReader.TryRead(reserved.Ok(), 1, long.MaxValue, out LocalReserveResponseReader reader));
        Assert.True(reader.TryReadNext(out ReservedItem slot));
        AssertRefused(client.Ask(Opcode.LocalCommit, b =>
            LocalCommitRequestWriter.Begin(b, AckLevel.Replica, 0, 1).Add(new CommitItem(slot.Reservation, 1))).Error);
        Assert.Equal(GetStatus.NotSealed, Blocks.Get(client, "a").Single().Item.Status);
        client.Dispose();
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 0, "the reservation to end");
    }

    private static void AssertRefused(KvError error)
    {
        Assert.Equal((ErrorCode.Unsupported, "replica"), (error.Code, error.Value));
        Assert.EndsWith(".ack", error.Field, StringComparison.Ordinal);
    }
}
