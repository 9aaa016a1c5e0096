using KvTier.Testing;

namespace KvTier.Cli.Tests;

public class RecallTensorTests : IDisposable
{
    private readonly TempDirectory folder = new();

    public void Dispose()
    {
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("--values: shape is (2, 5, 4); allowed: that of the keys, (2, 6, 4)", new[] { 2, 5, 4 }, new[] { 3, 4, 4 })]
    [InlineData("--values: shape is (1, 6, 4)", new[] { 1, 6, 4 }, new[] { 3, 4, 4 })]
    [InlineData("--queries: shape[2] is 5; allowed: that of the keys, 4", new[] { 2, 6, 4 }, new[] { 3, 4, 5 })]
    [InlineData("--queries: shape[1] is 3; allowed: a multiple of the keys' 2 KV heads", new[] { 2, 6, 4 }, new[] { 3, 3, 4 })]
    public void Read_ShapesThatDoNotAgree_NamesTheFileAndTheAxis(string expected, int[] values, int[] queries)
    {
        Write("k", [2, 6, 4]);
        Write("v", values);
        Write("q", queries);
        KvError? error = RecallTensorFiles.Read(folder["k"], folder["v"], folder["q"]).Error;
        Assert.Equal(ErrorCode.InvalidArgument, error?.Code);
        Assert.Contains(expected, error!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Read_QueryThatIsNoNumber_IsRefusedWithItsPlace(float value)
    {
        Write("k", [2, 6, 4]);
        float[] queries = new float[3 * 4 * 4];
        queries[(((1 * 4) + 2) * 4) + 3] = value;
        NpyWriter.Write(folder["q"], Dtype.Float32, [3, 4, 4], queries);
        KvError? error = RecallTensorFiles.Read(folder["k"], folder["k"], folder["q"]).Error;
        Assert.Equal(("queries[1, 2, 3]", "a finite number"), (error?.Field, error?.Limit));
    }

    [Fact]
    public void WriteAndRead_Fp16_AreTheSame()
    {
        RecallTensors tensors = RandomTensors.Make(2, 4, 40, 16, 3, Dtype.Float16);
        RecallTensorFiles.Write(folder.FullPath, tensors);
        RecallTensors read = RecallTensorFiles.Read(folder["keys.npy"], folder["values.npy"], folder["queries.npy"]).Value;
        Assert.Equal((2, 4, 40, 16, 3, Dtype.Float16), (read.KvHeads, read.QueryHeads, read.Tokens, read.HeadDim, read.Steps, read.Dtype));
        Assert.Equal(tensors.Keys, read.Keys);
        Assert.Equal(tensors.Values, read.Values);
        Assert.Equal(tensors.Queries, read.Queries);
    }

    [Fact]
    public void RoundTo_BFloat16_KeepsSevenBitsOfFraction()
    {
        RecallTensors tensors = RandomTensors.Make(1, 1, 40, 16, 1, Dtype.Float32).RoundTo(Dtype.BFloat16);
        Assert.All(tensors.Keys, value => Assert.Equal(0u, BitConverter.SingleToUInt32Bits(value) & 0xFFFF));
        Assert.Equal(2 * 40 * 16 * 2, tensors.StoredBytes);
    }

    private void Write(string name, int[] shape) =>
        NpyWriter.Write(folder[name], Dtype.Float32, shape, new float[NpyArray.CountOf(shape)]);
}
