namespace KvTier.Recall.Tests;

/// <summary>Blocks that are gone or damaged while a sequence names them.</summary>
public class DamageTests : LeakGated
{
    [Fact]
    public async Task RecallAsync_DamagedGranule_IsMissingAndItsBlockIsPutAway()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        await silo.DemoteAsync(ids);
        LogDamage.Flip(silo.LogPath, context.Row(1, 1, 27, value: true).ToArray());
        RecallRequest request = Requests.Attend(silo, Shapes.All());

        using (RecallAnswer answer = await silo.RecallAsync(request))
        {
            MissingTokens missing = Assert.Single(answer.Items[0].Missing);
            Assert.Equal(new MissingTokens(24, 8, MissReason.Corrupt), missing);
            Assert.Equal(1, silo.Recall.Stats.CorruptGranules);
            Assert.Equal(MissReason.Corrupt, silo.Engine.Describe(silo.Namespace, ids[1]).Reason);
            AssertWholeHeads(answer, request, context, silo);
        }

        using RecallAnswer later = await silo.RecallAsync(request);
        Assert.Equal(0, later.Items[0].Cost.SsdBytes);
        Assert.All(later.Items[0].Missing, run => Assert.InRange(run.FirstToken, 16, 31));
    }

    [Theory]
    [InlineData(RecallMode.Attend)]
    [InlineData(RecallMode.Gather)]
    public async Task RecallAsync_BlockDeleted_IsNamedAndTheRestIsExact(RecallMode mode)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 75, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        silo.Engine.Delete(silo.Namespace, ids[2]);
        silo.Engine.Delete(silo.Namespace, ids[4]);
        RecallRequest request = Requests.Attend(silo, Shapes.All()) with { Mode = mode };

        using RecallAnswer answer = await silo.RecallAsync(request);

        Assert.Equal(
            [new MissingTokens(32, 16, MissReason.Deleted), new MissingTokens(64, 11, MissReason.Deleted)], answer.Items[0].Missing);
        Assert.Equal(27, silo.Recall.Stats.MissingTokens);
        if (mode == RecallMode.Attend)
        {
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
            return;
        }

        Assert.DoesNotContain(4, Answers.SentOf(answer.Items[0], 0));
        Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context, silo.Layout);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RecallAsync_OtherContentUnderTheSameId_IsNotServed(bool demoted)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 48, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        silo.Engine.Delete(silo.Namespace, ids[1]);
        BlockPayload known = context.Blocks().ElementAt(1);
        byte[] other = [.. known.Bytes];
        other[100] ^= 1;
        await silo.PutAsync(known with { Bytes = other });
        if (demoted) await silo.DemoteAsync([ids[1]]);
        RecallRequest request = Requests.Attend(silo, Shapes.All());

        using RecallAnswer answer = await silo.RecallAsync(request);

        Assert.Equal([new MissingTokens(16, 16, MissReason.Deleted)], answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        Assert.Equal(MissReason.None, silo.Engine.Describe(silo.Namespace, ids[1]).Reason);
    }

    [Fact]
    public async Task RecallAsync_ShorterContentUnderTheSameId_IsMissingAndTheRestIsExact()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        silo.Engine.Delete(silo.Namespace, ids[1]);
        await silo.PutAsync(context.Blocks().ElementAt(1) with { Bytes = new byte[16] });
        await silo.DemoteAsync(ids);
        RecallRequest request = Requests.Attend(silo, Shapes.All());

        // The second one reads what the first one left in the hot set.
        for (int step = 0; step < 2; step++)
        {
            using RecallAnswer answer = await silo.RecallAsync(request);
            Assert.Equal([new MissingTokens(16, 16, MissReason.Deleted)], answer.Items[0].Missing);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        }
    }

    [Fact]
    public async Task RecallAsync_PartOfAUnitDamaged_GatherNamesTheWholeUnit()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        DigestSpec large = Shapes.Mean with { ChunkTokens = 16 };
        List<BlockId> ids = await silo.AddAsync("s", context, Shapes.Mean, large);
        await silo.DemoteAsync(ids);
        LogDamage.Flip(silo.LogPath, context.Row(1, 1, 27, value: true).ToArray());

        using RecallAnswer answer = await silo.RecallAsync(
            Requests.Attend(silo, Shapes.All(large)) with { Mode = RecallMode.Gather });

        RecallItemAnswer item = answer.Items[0];
        Assert.Equal([0, 2, 3], Answers.SentOf(item, 1));
        Assert.Equal([new MissingTokens(16, 16, MissReason.Corrupt)], item.Missing);
    }

    [Theory]
    [InlineData(Dtype.Int8, DigestKind.Moments)]
    [InlineData(Dtype.Float8E5M2, DigestKind.Moments)]
    [InlineData(Dtype.Int8, DigestKind.Centroids)]
    public async Task RestoreAsync_BlockGone_ItsPlaceIsNeverEstimated(Dtype dtype, DigestKind kind)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(Shapes.Gqa(dtype));
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        DigestSpec digest = Shapes.Mean with { Kind = kind };
        List<BlockId> ids = await silo.AddAsync("s", context, digest);
        silo.Engine.Delete(silo.Namespace, ids[3]);
        await silo.RestartAsync(drain: true);

        using RecallAnswer answer = await silo.RecallAsync(
            Requests.Attend(silo, Shapes.Selector(16, digest) with { Estimate = true }));

        Assert.Equal([(48L, 16)], answer.Items[0].Missing.Select(run => (run.FirstToken, run.Tokens)));
    }

    [Fact]
    public async Task RecallAsync_NaNInAKey_ItsChunkIsAlwaysReadAndCounted()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        context.SetKey(layer: 1, head: 0, token: 50, float.NaN);
        await silo.AddAsync("s", context);
        Assert.Equal(1, silo.Recall.Describe(silo.Namespace, "s").Value.QuarantinedChunks);
        for (int seed = 0; seed < 5; seed++)
        {
            using RecallAnswer answer = await silo.RecallAsync(
                Requests.Attend(silo, Shapes.Selector(16), seed: seed) with { Mode = RecallMode.Ids });
            Assert.Contains(6, Answers.UnitsOf(answer.Items[0], 0));
        }
    }

    /// <summary>Only one KV head lost a granule: heads of the other one attend over all tokens.</summary>
    private static void AssertWholeHeads(RecallAnswer answer, RecallRequest request, KvContext context, RecallHarness silo)
    {
        ReadOnlySpan<float> all = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(answer.Payload.Span);
        int dim = silo.Layout.HeadDim;
        for (int q = 0; q < 4; q++)
        {
            IEnumerable<long> tokens = Enumerable.Range(0, 64).Select(t => (long)t).Where(t => q < 2 || t is < 24 or >= 32);
            (double[] output, _) = context.Attend(1, q / 2, tokens, request.Items[0].Queries.Span.Slice(q * dim, dim));
            Answers.AssertClose(output, all.Slice(q * dim, dim), 1e-5);
        }
    }
}
