namespace KvTier.Kernels.Device.Tests;

/// <summary>Input that can't be is refused by the name of its field, and the device goes on working.</summary>
public sealed class BadInputTests(DeviceFixture fixture) : LeakGated
{
    private static readonly RowRange GoodRange = new(0, 4);
    private static readonly AttendChunk GoodChunk = new(0, 1024, 4);

    private RecallDevice Device => fixture.Device;

    [Fact]
    public void Score_BadFields_AreRefusedByName()
    {
        Assert.Null(Score(Dtype.Float16, 32, 2, 64, GoodRange));
        Assert.Equal("score.dtype", Score(Dtype.Raw, 32, 2, 64, GoodRange));
        Assert.Equal("score.dtype", Score((Dtype)99, 32, 2, 64, GoodRange));
        foreach (int length in (int[])[0, -4, 2, 30, 65_540])
            Assert.Equal("score.rowLength", Score(Dtype.Float16, length, 2, 64, GoodRange));
        foreach (int queries in (int[])[0, -1, 65]) Assert.Equal("score.queries", Score(Dtype.Float16, 32, queries, 64, GoodRange));
        Assert.Equal("score.queryRows", Score(Dtype.Float16, 32, 2, 65, GoodRange));
        Assert.Equal("score.range.rows", Score(Dtype.Float16, 32, 2, 64, GoodRange with { Rows = -1 }));
        foreach (int first in (int[])[-1, 1, int.MaxValue])
            Assert.Equal("score.range.firstQuery", Score(Dtype.Float16, 32, 2, 64, GoodRange with { FirstQuery = first }));
        foreach (long offset in (long[])[-16, 8, Device.CapacityBytes, Device.CapacityBytes - 128, long.MaxValue - 15])
            Assert.Equal("score.range.offset", Score(Dtype.Float16, 32, 2, 64, GoodRange with { Offset = offset }));
        Assert.Equal("score.range.offset", Score(Dtype.Float16, 32, 2, 64, GoodRange with { Rows = int.MaxValue }));
        foreach (long offset in (long[])[-4, 2, Device.CapacityBytes - 12])
            Assert.Equal("score.range.scaleOffset", Score(Dtype.Float16, 32, 2, 64, GoodRange with { ScaleOffset = offset }));
        Assert.Equal("score.scores", Device.Score(Batch(Dtype.Float16, 32, 2, 64, GoodRange), new float[7])!.Field);
        Assert.Null(Device.Fault);
    }

    [Fact]
    public void TopK_BadFields_AreRefusedByName()
    {
        foreach (int k in (int[])[0, -1, 65_537]) Assert.Equal("topK.k", TopK(new ScoreList(0, 10), k, 10));
        foreach (ScoreList list in (ScoreList[])[new(-1, 5), new(0, -1), new(6, 5), new(int.MaxValue, int.MaxValue)])
            Assert.Equal("topK.list", TopK(list, 3, 3));
        Assert.Equal("topK.indices", TopK(new ScoreList(0, 10), 3, 4));
        Assert.Equal("topK.values", Device.TopK(new float[10], [new ScoreList(0, 10)], 3, new int[3], new float[2])!.Field);
        ScoreBatch batch = Batch(Dtype.Float16, 32, 2, 64, GoodRange);
        Assert.Equal("score.reduction", Device.ScoreTopK(batch, (ScoreReduction)9, [new ScoreList(0, 4)], 1, new int[1], [])!.Field);
        // Without a reduction there are 8 scores, with one 4.
        Assert.Null(Device.ScoreTopK(batch, ScoreReduction.None, [new ScoreList(4, 4)], 1, new int[1], []));
        Assert.Equal("topK.list", Device.ScoreTopK(batch, ScoreReduction.Max, [new ScoreList(4, 4)], 1, new int[1], [])!.Field);
        Assert.Null(Device.Fault);
    }

    [Fact]
    public void Attend_BadFields_AreRefusedByName()
    {
        var group = new AttendGroup(0, 2, 0, 1);
        Assert.Null(Attend(Dtype.Float16, 32, 1, group, GoodChunk));
        Assert.Equal("attend.dtype", Attend(Dtype.Raw, 32, 1, group, GoodChunk));
        foreach (int dims in (int[])[0, -4, 30, 260]) Assert.Equal("attend.dims", Attend(Dtype.Float16, dims, 1, group, GoodChunk));
        Assert.Equal("attend.queries", Attend(Dtype.Float16, 36, 1, group, GoodChunk));
        foreach (float scale in (float[])[float.NaN, float.PositiveInfinity])
            Assert.Equal("attend.scale", Attend(Dtype.Float16, 32, scale, group, GoodChunk));
        foreach (int queries in (int[])[0, -1, 65])
            Assert.Equal("attend.group.queries", Attend(Dtype.Float16, 32, 1, group with { Queries = queries }, GoodChunk));
        foreach (int first in (int[])[-1, 1, int.MaxValue])
            Assert.Equal("attend.group.firstQuery", Attend(Dtype.Float16, 32, 1, group with { FirstQuery = first }, GoodChunk));
        foreach ((int first, int count) in (ReadOnlySpan<(int, int)>)[(-1, 1), (0, -1), (0, 2), (1, 1), (int.MaxValue, 1)])
        {
            AttendGroup bad = group with { FirstChunk = first, Chunks = count };
            Assert.Equal("attend.group.chunks", Attend(Dtype.Float16, 32, 1, bad, GoodChunk));
        }

        Assert.Equal("attend.chunk.tokens", Attend(Dtype.Float16, 32, 1, group, GoodChunk with { Tokens = -1 }));
        foreach (long offset in (long[])[-16, 4, Device.CapacityBytes])
        {
            Assert.Equal("attend.chunk.offset", Attend(Dtype.Float16, 32, 1, group, GoodChunk with { KeyOffset = offset }));
            Assert.Equal("attend.chunk.offset", Attend(Dtype.Float16, 32, 1, group, GoodChunk with { ValueOffset = offset }));
        }

        foreach (long offset in (long[])[-2, 2, Device.CapacityBytes])
        {
            Assert.Equal("attend.chunk.scaleOffset", Attend(Dtype.Float16, 32, 1, group, GoodChunk with { KeyScaleOffset = offset }));
            Assert.Equal("attend.chunk.scaleOffset", Attend(Dtype.Float16, 32, 1, group, GoodChunk with { ValueScaleOffset = offset }));
        }

        Assert.Null(Device.Fault);
    }

    [Fact]
    public void Requests_MoreThanScratchHolds_AreRefusedWithTheLimit()
    {
        int scratch = DeviceFixture.Options.ScratchBytes;
        KvError[] errors =
        [
            Device.TopK(new float[scratch / 4], [new ScoreList(0, 10)], 1, new int[1], [])!,
            Device.TopK(new float[10], new ScoreList[300], 65_536, new int[300 * 65_536], [])!,
            Device.Score(Batch(Dtype.Int8, 4, 1, scratch / 4, GoodRange), new float[4])!,
            Device.Score(Batch(Dtype.Int8, 4, 4, 16, new RowRange(0, 2_000_000)), new float[8_000_000])!,
            Attended(new float[scratch / 4])!,
        ];
        foreach (KvError error in errors)
        {
            Assert.Equal((ErrorCode.LimitExceeded, "device.scratchBytes"), (error.Code, error.Field));
            Assert.Equal($"{scratch}", error.Limit);
        }

        Assert.Null(Device.Fault);
    }

    private static ScoreBatch Batch(Dtype dtype, int length, int queries, int elements, RowRange range) => new()
    {
        Dtype = dtype,
        RowLength = length,
        Queries = queries,
        QueryRows = new float[elements],
        Ranges = new[] { range },
    };

    private string? Score(Dtype dtype, int length, int queries, int elements, RowRange range) =>
        Device.Score(Batch(dtype, length, queries, elements, range), new float[8])?.Field;

    private string? TopK(ScoreList list, int k, int indices) => Device.TopK(new float[10], [list], k, new int[indices], [])?.Field;

    private KvError? Attended(float[] queries) => Device.Attend(
        new AttendBatch { Dtype = Dtype.Int8, Dims = 4, Scale = 1, Queries = queries, Groups = [], Chunks = [] },
        queries, new float[queries.Length / 4]);

    private string? Attend(Dtype dtype, int dims, float scale, AttendGroup group, AttendChunk chunk)
    {
        var batch = new AttendBatch
        {
            Dtype = dtype,
            Dims = dims,
            Scale = scale,
            Queries = new float[64],
            Groups = [group],
            Chunks = [chunk],
        };
        return Device.Attend(batch, new float[64], new float[2])?.Field;
    }
}
