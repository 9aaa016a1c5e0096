using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

public class RopeTests
{
    private static readonly long[] Positions = [0, 1, 17, 4095, 131_071, 1_000_000];

    [Theory]
    [InlineData(RopePairing.Half, 128, 0)]
    [InlineData(RopePairing.Half, 96, 32)]
    [InlineData(RopePairing.Half, 80, 20)]
    [InlineData(RopePairing.Interleaved, 64, 0)]
    [InlineData(RopePairing.Interleaved, 64, 10)]
    public void Rotate_AnyPairing_TurnsEachPairByItsAngle(RopePairing pairing, int dim, int rotary)
    {
        RopeRotation rotation = new(500_000, 8, rotary, pairing, 0);
        float[] rows = Rows.Normal(new Random(dim), Positions.Length * dim), before = [.. rows];
        Rope.Rotate(rows, dim, Positions, rotation);
        int turning = rotary == 0 ? dim : rotary;
        for (int t = 0; t < Positions.Length; t++)
        {
            for (int j = 0; j < turning / 2; j++)
            {
                double angle = Positions[t] / 8.0 * Math.Pow(500_000, -2.0 * j / turning);
                int first = (t * dim) + (pairing == RopePairing.Half ? j : 2 * j);
                int second = (t * dim) + (pairing == RopePairing.Half ? j + (turning / 2) : (2 * j) + 1);
                Assert.Equal((before[first] * Math.Cos(angle)) - (before[second] * Math.Sin(angle)), rows[first], 2e-6);
                Assert.Equal((before[second] * Math.Cos(angle)) + (before[first] * Math.Sin(angle)), rows[second], 2e-6);
            }

            for (int j = turning; j < dim; j++) Assert.Equal(before[(t * dim) + j], rows[(t * dim) + j]);
        }

        Rope.Rotate(rows, dim, Positions, rotation, inverse: true);
        for (int i = 0; i < rows.Length; i++) Assert.Equal(before[i], rows[i], 1e-6f);
    }

    [Fact]
    public void Rotate_DotProducts_DependOnDistanceOnly()
    {
        RopeRotation rotation = new(10_000, 1, 0, RopePairing.Half, 100);
        Random random = new(1);
        float[] query = Rows.Normal(random, 64), key = Rows.Normal(random, 64);
        double Dot(long q, long k)
        {
            float[] turnedQuery = [.. query], turnedKey = [.. key];
            Rope.Rotate(turnedQuery, new RopeAngles(rotation, 64, q, 1));
            Rope.Rotate(turnedKey, new RopeAngles(rotation, 64, k, 1));
            return turnedQuery.Zip(turnedKey, (a, b) => (double)a * b).Sum();
        }

        Assert.Equal(Dot(20, 13), Dot(5_020, 5_013), 1e-4);
    }

    [Fact]
    public void RopeAngles_FirstTokenAndFirstPosition_AddUp()
    {
        float[] a = Rows.Normal(new Random(2), 3 * 16), b = [.. a];
        RopeRotation rotation = new(10_000, 1, 0, RopePairing.Half, 40);
        Rope.Rotate(a, new RopeAngles(rotation, 16, 2, 3));
        Rope.Rotate(b, 16, [42, 43, 44], rotation);
        Assert.Equal(b, a);
    }

    [Fact]
    public void RopeAngles_RotaryDimensionThatDoesNotFit_Throws()
    {
        Assert.Throws<ArgumentException>(() => new RopeAngles(new RopeRotation(10_000, 1, 31, RopePairing.Half, 0), 64, 0, 1));
        Assert.Throws<ArgumentException>(() => new RopeAngles(new RopeRotation(10_000, 1, 66, RopePairing.Half, 0), 64, 0, 1));
        RopeAngles angles = new(new RopeRotation(10_000, 1, 0, RopePairing.Half, 0), 64, 0, 2);
        Assert.Throws<ArgumentException>(() => Rope.Rotate(new float[64], angles));
    }
}
