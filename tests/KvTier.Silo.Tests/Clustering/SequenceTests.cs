using System.Runtime.InteropServices;
using System.Text;
using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Recall;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Sequences over several silos with a real etcd and real connections between them.</summary>
public sealed class SequenceTests : ClusterTest
{
    private const int BlockTokens = 128;
    private const int HeadDim = 16;
    private static readonly TimeSpan guard = TimeSpan.FromSeconds(60);

    private static readonly NamespaceDescriptor space = new("default", new ModelProfile
    {
        Name = "sequences",
        Kind = AttentionKind.Gqa,
        Layers = 1,
        KvHeads = 1,
        HeadDim = HeadDim,
        Dtype = Dtype.Float32,
        BlockTokens = BlockTokens,
        Rope = new RopeParameters(0),
    });

    [Fact]
    public async Task RecallAsync_131072TokensOverThreeSilos_AttendsAsOneSiloDoes()
    {
        const int tokens = 131_072;
        SiloHost[] silos = await StartClusterAsync(3, change: WithRoom);
        SiloHost one = await StartAsync(new SiloOptions
        {
            Name = "one",
            Port = 0,
            HostBytes = 64 << 20,
            GhostBlocks = 256,
            Http = new HttpOptions { Port = 0 },
        });
        BlockId[] ids = Put(silos, tokens / BlockTokens, replicas: 1);
        ISequences single = one.Sequences;
        Assert.Equal(ids, Put([one], tokens / BlockTokens, replicas: 1));
        ISequences spread = OwnerOf(silos, "long").Sequences;
        foreach ((SiloHost host, ISequences sequences) in new[] { (one, single), (OwnerOf(silos, "long"), spread) })
        {
            Assert.Null((await sequences.OpenAsync(Open(host, "long"), guard)).Error);
            for (int first = 0; first < ids.Length; first += 256)
            {
                Assert.Null((await sequences.AppendAsync(
                    HandleOf(host), "long", ids.AsMemory(first, 256), 256 * BlockTokens, replaceLast: false, guard)).Error);
            }
        }

        Assert.True(silos.Count(silo => silo.Engine.Count(HandleOf(silo)) > 100) == 3, "the blocks lie on all three silos");
        using RecallAnswer expected = (await single.RecallAsync(Attend(one, "long"), guard)).Value;
        using RecallAnswer got = (await spread.RecallAsync(Attend(OwnerOf(silos, "long"), "long"), guard)).Value;
        Assert.Empty(got.Items[0].Missing);
        AssertClose(expected.Payload.Span, got.Payload.Span, 1e-5);
        Selector best = Selectors.Moments with { Budget = RecallBudget.OfTokens(2048) };
        using RecallAnswer few = (await spread.RecallAsync(Attend(OwnerOf(silos, "long"), "long", best), guard)).Value;
        using RecallAnswer fewOfOne = (await single.RecallAsync(Attend(one, "long", best), guard)).Value;
        Assert.Equal(fewOfOne.Items[0].Units.ToArray(), few.Items[0].Units.ToArray());
        AssertClose(fewOfOne.Payload.Span, few.Payload.Span, 1e-5);
    }

    [Fact]
    public async Task OwnerStops_WithTwoReplicas_TheNextOneHasTheSequence()
    {
        SiloHost[] silos = await StartClusterAsync(3, replicas: 2, change: WithRoom);
        BlockId[] ids = Put(silos, 80, replicas: 2);
        SiloHost owner = OwnerOf(silos, "s");
        Assert.Null((await owner.Sequences.OpenAsync(Open(owner, "s"), guard)).Error);
        Assert.Null((await owner.Sequences.AppendAsync(HandleOf(owner), "s", ids, 80 * BlockTokens, replaceLast: false, guard)).Error);
        using RecallAnswer before = (await owner.Sequences.RecallAsync(Attend(owner, "s"), guard)).Value;
        byte[] expected = before.Payload.ToArray();
        await owner.DisposeAsync();
        SiloHost[] left = [.. silos.Where(silo => silo != owner)];
        await UntilAsync(() => left.All(silo => silo.Cluster!.Map.Silos.Count == 2), "the owner to leave");
        SiloHost next = OwnerOf(left, "s");
        Result<SequenceInfo> found = await next.Sequences.DescribeAsync(HandleOf(next), "s", guard);
        Assert.Equal(80L * BlockTokens, found.Value.Tokens);
        using RecallAnswer after = (await next.Sequences.RecallAsync(Attend(next, "s"), guard)).Value;
        Assert.Empty(after.Items[0].Missing);
        AssertClose(expected, after.Payload.Span, 1e-5);
        SiloHost other = left.Single(silo => silo != next);
        Assert.Equal(ErrorCode.Moved, (await other.Sequences.CloseAsync(HandleOf(other), "s", guard)).Error?.Code);
    }

    [Fact]
    public async Task OpenAsync_WhenTheClusterGrows_SequencesFollowTheirOwners()
    {
        SiloHost[] silos = await StartClusterAsync(2, change: WithRoom);
        Put(silos, 1, replicas: 1);
        string[] names = [.. Enumerable.Range(0, 12).Select(i => $"s-{i}")];
        foreach (string name in names)
        {
            SiloHost owner = OwnerOf(silos, name);
            Assert.Null((await owner.Sequences.OpenAsync(Open(owner, name), guard)).Error);
        }

        SiloHost third = await StartAsync(WithRoom(Options("c")));
        SiloHost[] all = [.. silos, third];
        await SettledAsync(all);
        foreach (SiloHost silo in all) Assert.True(silo.Engine.OpenNamespace(space).IsOk);
        foreach (string name in names)
        {
            SiloHost owner = OwnerOf(all, name);
            Assert.Null((await owner.Sequences.DescribeAsync(HandleOf(owner), name, guard)).Error);
        }

        Assert.Contains(names, name => OwnerOf(all, name) == third);
        await UntilAsync(
            () => all.Sum(silo => silo.RecallStats.Sequences) == names.Length, "manifests to be with their owners alone");
        Assert.Equal(names.Order(StringComparer.Ordinal), all.SelectMany(silo => silo.Sequences.List(HandleOf(silo), "", 100))
            .Select(info => info.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task AppendAsync_SilosStartedAgainAfterEtcdLostItsData_GoesOnWithTheSequence()
    {
        SiloHost[] silos = await StartClusterAsync(3, replicas: 2, change: WithLog);
        for (ulong i = 0; i < 10; i++)
        {
            var change = new ClusterChange(silos[0].Cluster!.Map.Epoch) { Moved = new Dictionary<BlockId, string?> { [new(1, i)] = "a" } };
            Assert.Null((await silos[0].Cluster!.Membership.CommitAsync(change, guard)).Error);
        }

        await SettledAsync(silos);
        BlockId[] ids = Put(silos, 80, replicas: 2);
        SiloHost owner = OwnerOf(silos, "s"), ownerOfWhole = OwnerOf(silos, "whole");
        Assert.Null((await owner.Sequences.OpenAsync(Open(owner, "s"), guard)).Error);
        Assert.Null((await AppendAsync(owner, "s", ids.AsMemory(0, 40))).Error);
        Assert.Null((await ownerOfWhole.Sequences.OpenAsync(Open(ownerOfWhole, "whole"), guard)).Error);
        Assert.Null((await AppendAsync(ownerOfWhole, "whole", ids)).Error);
        using RecallAnswer before = (await ownerOfWhole.Sequences.RecallAsync(Attend(ownerOfWhole, "whole"), guard)).Value;
        byte[] expected = before.Payload.ToArray();
        long known = silos.Max(silo => silo.Cluster!.Map.Epoch);

        await Task.WhenAll(silos.Select(silo => silo.DisposeAsync().AsTask()));
        await Etcd.LoseDataAsync();
        SiloHost[] again = await StartClusterAsync(3, replicas: 2, change: WithLog);
        SiloHost next = OwnerOf(again, "s");
        Assert.Equal(40L * BlockTokens, (await next.Sequences.DescribeAsync(HandleOf(next), "s", guard)).Value.Tokens);
        Assert.Null((await AppendAsync(next, "s", ids.AsMemory(40))).Error);
        using RecallAnswer after = (await next.Sequences.RecallAsync(Attend(next, "s"), guard)).Value;
        Assert.Empty(after.Items[0].Missing);
        AssertClose(expected, after.Payload.Span, 1e-5);
        Assert.All(again, silo => Assert.True(silo.Cluster!.Map.Epoch > known, $"epoch {silo.Cluster.Map.Epoch} after {known}"));
    }

    private static ValueTask<Result<SequenceInfo>> AppendAsync(SiloHost owner, string name, ReadOnlyMemory<BlockId> ids) =>
        owner.Sequences.AppendAsync(HandleOf(owner), name, ids, ids.Length * BlockTokens, replaceLast: false, guard);

    private static SiloOptions WithRoom(SiloOptions options) => options with { HostBytes = 64 << 20 };

    // A start after etcd has lost its data waits for the time of a lease.
    private SiloOptions WithLog(SiloOptions options) => WithRoom(options) with
    {
        DataDirectory = Folder(options.Name),
        SsdBytes = 256 << 20,
        Namespaces = [space],
        Cluster = options.Cluster with { LeaseMs = 6000 },
    };

    private static SequenceOpen Open(SiloHost host, string name) =>
        new() { Namespace = HandleOf(host), Name = name, Digests = [Selectors.Moments.Digest] };

    private static RecallRequest Attend(SiloHost host, string name, Selector? selector = null)
    {
        var random = new Random(7);
        return new RecallRequest
        {
            Namespace = HandleOf(host),
            Mode = RecallMode.Attend,
            Selector = selector ?? Selectors.Moments with { Budget = new RecallBudget(BudgetKind.Share, 1) },
            QueryHeads = 4,
            Items =
            [
                new RecallItem
                {
                    Sequence = name,
                    Layer = 0,
                    Queries = Enumerable.Range(0, 4 * HeadDim).Select(_ => (float)((2 * random.NextDouble()) - 1)).ToArray(),
                },
            ],
        };
    }

    private static ushort HandleOf(SiloHost host) => host.Engine.OpenNamespace(space).Value;

    private static SiloHost OwnerOf(SiloHost[] silos, string sequence)
    {
        ClusterMap map = silos[0].Cluster!.Map;
        string name = map.Silos[map.OwnerOf(BlockGroups.OfSequence(space.Id, sequence))].Name;
        return silos.Single(silo => silo.Options.Name == name);
    }

    /// <summary>Stores blocks where their groups belong, or on a silo of its own.</summary>
    private static BlockId[] Put(SiloHost[] silos, int blocks, int replicas)
    {
        foreach (SiloHost silo in silos) HandleOf(silo);
        byte[][] keys = [.. Enumerable.Range(0, blocks).Select(i => Encoding.UTF8.GetBytes($"block-{i}"))];
        BlockId[] ids = [.. keys.Select(key => BlockId.Compute(space.Id, key))];
        var floats = new float[space.Profile.BlockBytes / sizeof(float)];
        for (int i = 0; i < blocks; i++)
        {
            var random = new Random(i);
            for (int j = 0; j < floats.Length; j++) floats[j] = (float)((2 * random.NextDouble()) - 1);
            BlockId group = ids[BlockGroups.HeadOf(i)];
            foreach (SiloHost silo in HoldersOf(silos, group, replicas))
                Put(silo, ids[i], group, keys[i], MemoryMarshal.AsBytes(floats.AsSpan()));
        }

        return ids;
    }

    private static IEnumerable<SiloHost> HoldersOf(SiloHost[] silos, BlockId group, int replicas)
    {
        if (silos[0].Cluster is not { } cluster) return silos;
        var found = new int[replicas];
        string[] names = [.. found[..cluster.Map.FindHolders(group, found)].Select(index => cluster.Map.Silos[index].Name)];
        return silos.Where(silo => names.Contains(silo.Options.Name));
    }

    private static void Put(SiloHost silo, BlockId id, BlockId group, byte[] key, ReadOnlySpan<byte> bytes)
    {
        var put = new PutRequest { Namespace = HandleOf(silo), Id = id, Key = key, Length = bytes.Length, Group = group };
        Assert.True(silo.Engine.TryBeginPut(put, out PutBegin begin, out Reservation reservation));
        if (begin == PutBegin.Present) return;
        bytes.CopyTo(silo.Engine.Arena.Slice(reservation.Offset, bytes.Length).Span);
        silo.Engine.Seal(reservation, Crc32C.Compute(bytes), out _);
    }

    private static void AssertClose(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> got, double tolerance)
    {
        ReadOnlySpan<float> a = MemoryMarshal.Cast<byte, float>(expected);
        ReadOnlySpan<float> b = MemoryMarshal.Cast<byte, float>(got);
        Assert.Equal(a.Length, b.Length);
        double error = 0;
        double norm = 0;
        for (int i = 0; i < a.Length; i++)
        {
            error += Math.Pow((double)a[i] - b[i], 2);
            norm += (double)a[i] * a[i];
        }

        Assert.True(Math.Sqrt(error) <= tolerance * Math.Sqrt(norm), $"relative error {Math.Sqrt(error / norm)}");
    }
}
