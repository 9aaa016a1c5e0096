namespace KvTier.Recall.Tests;

/// <summary>Opening, listing, describing, closing.</summary>
public class SequenceTests : LeakGated
{
    [Fact]
    public async Task OpenAsync_Again_FindsItWithTheSameDigestsOnly()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        SequenceInfo first = await silo.OpenAsync("s");
        SequenceInfo again = await silo.OpenAsync("s");
        Assert.Equal((first.Name, first.Tokens, first.Blocks), (again.Name, again.Tokens, again.Blocks));

        var other = new SequenceOpen { Namespace = silo.Namespace, Name = "s", Digests = [Shapes.Mean with { ChunkTokens = 16 }] };
        KvError error = (await silo.Recall.OpenAsync(other, RecallHarness.Guard)).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "digests"), (error.Code, error.Field));
    }

    [Fact]
    public async Task OpenAsync_BadFields_AreNamed()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(options: new RecallOptions { SequencesMax = 1, Workers = 1 });
        ushort opaque = silo.Engine.OpenNamespace(new NamespaceDescriptor("default", Profiles.Opaque)).Value;
        var good = new SequenceOpen { Namespace = silo.Namespace, Name = "s", Digests = [Shapes.Mean] };

        Assert.Equal("sequence", await FieldAsync(good with { Name = "" }));
        Assert.Equal("sequence", await FieldAsync(good with { Name = "a\nb" }));
        Assert.Equal("sequence", await FieldAsync(good with { Name = new string('ä', 129) }));
        Assert.Equal("namespace", await FieldAsync(good with { Namespace = opaque }));
        Assert.Equal("namespace", await FieldAsync(good with { Namespace = 999 }));
        Assert.Equal("digests", await FieldAsync(good with { Digests = [] }));
        Assert.Equal("digests[1]", await FieldAsync(good with { Digests = [Shapes.Mean, Shapes.Mean] }));
        Assert.Equal("digests[0].chunkTokens", await FieldAsync(good with { Digests = [Shapes.Mean with { ChunkTokens = 32 }] }));
        Assert.Equal("rotation", await FieldAsync(good with { Rotation = Shapes.Rotation }));
        Assert.Null(await FieldAsync(good));
        Assert.Equal("recall.sequencesMax", await FieldAsync(good with { Name = "t" }));
        Assert.Equal(1, silo.Recall.Stats.Sequences);

        async Task<string?> FieldAsync(SequenceOpen open) => (await silo.Recall.OpenAsync(open, RecallHarness.Guard)).Error?.Field;
    }

    [Fact]
    public async Task OpenAsync_KeysStoredBeforeRotation_NeedsARotation()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(Shapes.Gqa(preRotation: true));
        var open = new SequenceOpen { Namespace = silo.Namespace, Name = "s", Digests = [Shapes.Mean] };

        Assert.Equal("rotation", (await silo.Recall.OpenAsync(open, RecallHarness.Guard)).Error!.Field);
        SequenceOpen odd = open with { Rotation = Shapes.Rotation with { RotaryDim = 7 } };
        Assert.Equal("rotation.rotaryDim", (await silo.Recall.OpenAsync(odd, RecallHarness.Guard)).Error!.Field);
        Assert.Equal(Shapes.Rotation, (await silo.OpenAsync("s")).Rotation);
    }

    [Fact]
    public async Task List_ManySequences_GoesOnAfterTheNameGiven()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        foreach (string name in new[] { "c", "a", "e", "b", "d" }) await silo.OpenAsync(name);

        Assert.Equal(["a", "b"], silo.Recall.List(silo.Namespace, "", 2).Select(info => info.Name));
        Assert.Equal(["c", "d"], silo.Recall.List(silo.Namespace, "b", 2).Select(info => info.Name));
        Assert.Equal(["d", "e"], silo.Recall.List(silo.Namespace, "cx", 9).Select(info => info.Name));
        Assert.Empty(silo.Recall.List(silo.Namespace, "e", 9));
        Assert.Empty(silo.Recall.List(77, "", 9));
    }

    [Fact]
    public async Task CloseAsync_OpenSequence_ForgetsItAndItsNameIsFree()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 40, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);

        SequenceInfo closed = (await silo.Recall.CloseAsync(silo.Namespace, "s", RecallHarness.Guard)).Value;

        Assert.Equal(40, closed.Tokens);
        Assert.Equal("sequence", silo.Recall.Describe(silo.Namespace, "s").Error!.Field);
        Assert.Equal("sequence", (await silo.Recall.CloseAsync(silo.Namespace, "s", RecallHarness.Guard)).Error!.Field);
        Assert.Equal(MissReason.None, silo.Engine.Describe(silo.Namespace, ids[0]).Reason);
        Assert.Equal(0, (await silo.OpenAsync("s")).Tokens);
        Assert.Equal(0, silo.Recall.Stats.DigestBytes);
    }

    [Fact]
    public async Task Calls_AfterDispose_AreRefused()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.OpenAsync("s");
        await silo.Recall.DisposeAsync();
        var open = new SequenceOpen { Namespace = silo.Namespace, Name = "t", Digests = [Shapes.Mean] };
        Assert.Equal(ErrorCode.ShuttingDown, (await silo.Recall.OpenAsync(open, RecallHarness.Guard)).Error!.Code);
    }

    [Fact]
    public async Task OpenAsync_ManyAtOnceUnderOneName_MakeOne()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        Task<SequenceInfo>[] opens = [.. Enumerable.Range(0, 16).Select(_ => Task.Run(() => silo.OpenAsync("s")))];
        foreach (SequenceInfo info in await Task.WhenAll(opens)) Assert.Equal("s", info.Name);
        Assert.Equal(1, silo.Recall.Stats.Sequences);
    }
}
