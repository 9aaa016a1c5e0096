namespace KvTier.Kernels.Tests;

public class AttentionMergeTests
{
    [Fact]
    public void Into_BothEmpty_StaysEmptyWithoutNaN()
    {
        float[] output = [float.NaN, float.NaN];
        float[] lse = [float.NegativeInfinity];
        AttentionMerge.Into(output, lse, [1, 2], [float.PositiveInfinity]);
        Assert.Equal([0f, 0f], output);
        Assert.Equal(float.NegativeInfinity, lse[0]);
    }
}
