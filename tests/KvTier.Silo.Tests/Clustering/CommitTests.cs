using System.Net.Sockets;
using System.Text;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Commits of blocks that were written in shared memory, in a cluster.</summary>
public sealed class CommitTests : ClusterTest
{
    private const int Length = 20_000;

    // Values of Redis clients have one copy, whatever the cluster's number is: an ack of replicas can't be given for them.
    private static readonly NamespaceDescriptor single = new("resp", Profiles.Opaque);

    [Fact]
    public async Task Commit_OverTwoNamespacesOfWhichTheFirstCanNotBeCopied_IsCopiedInTheSecondWhenItIsAnswered()
    {
        SiloHost[] silos = await StartClusterAsync(
            2, replicas: 2, options => options with { UnixSocket = Folder($"{options.Name}.sock"), SharedMemory = true });
        using RawClient client = RawClient.Open(new UnixDomainSocketEndPoint(silos[0].Endpoints.UnixSocket!), single);
        string value = Enumerable.Range(0, int.MaxValue).Select(i => $"value-{i}").First(key => OwnerIsFirst(silos[0], client.Id(key)));
        CommitItem first = Write(client, silos[0], value);
        client.OpenNamespace(WireBounds.ProbeNamespace);
        string[] keys = KeysOf(silos[0], 8);
        CommitItem[] items = [first, .. keys.Select(key => Write(client, silos[0], key))];

        (PutItemStatus[] statuses, KvError? error) = Blocks.ReadPut(
            client.Ask(Opcode.LocalCommit, buffer =>
            {
                LocalCommitRequestWriter writer = LocalCommitRequestWriter.Begin(buffer, AckLevel.Replica, 0, items.Length);
                foreach (CommitItem item in items) writer.Add(item);
            }), items.Length);

        Assert.All(statuses, status => Assert.Equal(PutItemStatus.Stored, status));
        Assert.Equal((ErrorCode.Unsupported, "replica"), (error!.Code, error.Value));
        Assert.All(keys, key => Assert.True(Has(silos[1], key), $"{key} has no copy though the answer has come"));
    }

    private static bool OwnerIsFirst(SiloHost silo, BlockId group) =>
        silo.Cluster!.Map.Silos[silo.Cluster.Map.OwnerOf(group)].Name == silo.Options.Name;

    /// <summary>Reserves a slot and writes it, as a client does that has mapped the arena.</summary>
    private static CommitItem Write(RawClient client, SiloHost silo, string key)
    {
        Reply reply = client.Ask(Opcode.LocalReserve, buffer =>
        {
            LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(buffer, client.Namespace, PutFlags.None, 0, 0, 0, 1);
            writer.Add(Encoding.UTF8.GetBytes(key), Length, 0);
        });
        Assert.Null(LocalReserveResponseReader.TryRead(reply.Ok(), 1, long.MaxValue, out LocalReserveResponseReader reader));
        Assert.True(reader.TryReadNext(out ReservedItem slot));
        Assert.Equal(ReserveStatus.Reserved, slot.Status);
        byte[] bytes = Blocks.Bytes(client.Id(key), Length);
        bytes.CopyTo(silo.Engine.Arena.Slice(slot.Offset, Length));
        return new CommitItem(slot.Reservation, Blocks.Check(client.Id(key), bytes));
    }
}
