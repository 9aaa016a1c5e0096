using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

public class ClusteringTests
{
    [Fact]
    public void Spherical_KeysAroundFewDirections_FindsTheDirections()
    {
        const int dim = 48, groups = 8, each = 40;
        Random random = new(1);
        float[] directions = Rows.Normal(random, groups * dim, 3), rows = Rows.Normal(random, groups * each * dim, 0.1f);
        for (int r = 0; r < groups * each; r++)
        {
            for (int j = 0; j < dim; j++) rows[(r * dim) + j] += directions[(r / each * dim) + j];
        }

        Clusters clusters = KMeans.Spherical(rows, dim, groups);
        Assert.Equal(groups * each, clusters.Sizes.Sum());
        for (int r = 0; r < groups * each; r++) Assert.Equal(clusters.Assignments[r / each * each], clusters.Assignments[r]);
        Assert.Equal(groups, clusters.Assignments.Distinct().Count());
        CheckMeans(rows, dim, clusters);
    }

    [Fact]
    public void KMeans_SameInput_GivesTheSameClusters()
    {
        float[] rows = Rows.Normal(new Random(2), 500 * 32);
        Clusters a = KMeans.Spherical(rows, 32, 31), b = KMeans.Spherical(rows, 32, 31);
        Assert.Equal(a.Centroids, b.Centroids);
        Assert.Equal(a.Assignments, b.Assignments);
        CheckMeans(rows, 32, a);
        Clusters c = KMeans.Euclidean(rows, 32, 31, 20, new Random(7)), d = KMeans.Euclidean(rows, 32, 31, 20, new Random(7));
        Assert.Equal(c.Centroids, d.Centroids);
    }

    [Fact]
    public void Euclidean_MoreSteps_DoNotRaiseTheError()
    {
        float[] rows = Rows.Normal(new Random(3), 600 * 16);
        double last = double.PositiveInfinity;
        foreach (int steps in (int[])[1, 3, 10, 30])
        {
            double error = Error(rows, 16, KMeans.Euclidean(rows, 16, 20, steps, new Random(1)).Centroids);
            Assert.InRange(error, 0, last * 1.000001);
            last = error;
        }
    }

    [Fact]
    public void KMeans_OneRowOrEqualRows_Works()
    {
        Clusters one = KMeans.Spherical([1, 2, 3], 3, 1);
        Assert.Equal([1f, 2f, 3f], one.Centroids);
        float[] equal = new float[40];
        equal.AsSpan().Fill(2);
        Assert.Equal(10, KMeans.Spherical(equal, 4, 3).Sizes.Sum());
        Assert.Equal(10, KMeans.Euclidean(equal, 4, 3, 5, new Random(1)).Sizes.Sum());
        Assert.Throws<ArgumentException>(() => KMeans.Spherical([1, 2, 3], 3, 2));
    }

    [Fact]
    public void VqCodebook_QueriesThatLookOneWay_ErrLessThanPlainQuantisation()
    {
        const int dim = 16;
        Random random = new(4);
        float[] keys = Rows.Normal(random, 2000 * dim), queries = Rows.Normal(random, 500 * dim);
        for (int i = 0; i < queries.Length; i++) queries[i] *= i % dim < 3 ? 10 : 0.1f;
        QueryMetric metric = new(dim);
        metric.Add(queries);
        VqCodebook aware = VqCodebook.Train(keys, metric, 64, 15, new Random(5));
        VqCodebook plain = VqCodebook.Train(keys, new QueryMetric(dim), 64, 15, new Random(5));
        Assert.Equal(500, metric.Count);
        Assert.InRange(ScoreError(aware, keys, queries), 0, 0.5 * ScoreError(plain, keys, queries));
        Assert.Equal(aware.Decoded.ToArray(), VqCodebook.Train(keys, metric, 64, 15, new Random(5)).Decoded.ToArray());
    }

    [Fact]
    public void VqCodebook_AsManyCodesAsKeys_DecodesToTheKeys()
    {
        const int dim = 12;
        Random random = new(6);
        float[] keys = Rows.Normal(random, 20 * dim);
        QueryMetric metric = new(dim);
        metric.Add(Rows.Normal(random, 100 * dim));
        VqCodebook codebook = VqCodebook.Train(keys, metric, 20, 5, new Random(1));
        ushort[] codes = new ushort[20];
        codebook.Encode(keys, codes);
        for (int r = 0; r < 20; r++)
        {
            for (int j = 0; j < dim; j++) Assert.Equal(keys[(r * dim) + j], codebook.Decoded[(codes[r] * dim) + j], 1e-4f);
        }
    }

    private static double ScoreError(VqCodebook codebook, float[] keys, float[] queries)
    {
        int dim = codebook.Dim, count = keys.Length / dim;
        ushort[] codes = new ushort[count];
        codebook.Encode(keys, codes);
        double error = 0;
        for (int q = 0; q < queries.Length; q += dim)
        {
            for (int k = 0; k < count; k++)
            {
                double difference = 0;
                for (int j = 0; j < dim; j++)
                    difference += queries[q + j] * ((double)keys[(k * dim) + j] - codebook.Decoded[(codes[k] * dim) + j]);
                error += difference * difference;
            }
        }

        return error;
    }

    private static double Error(float[] rows, int dim, float[] centroids)
    {
        double total = 0;
        for (int r = 0; r < rows.Length; r += dim)
        {
            double nearest = double.PositiveInfinity;
            for (int c = 0; c < centroids.Length; c += dim)
            {
                double distance = 0;
                for (int j = 0; j < dim; j++) distance += Math.Pow((double)rows[r + j] - centroids[c + j], 2);
                nearest = Math.Min(nearest, distance);
            }

            total += nearest;
        }

        return total;
    }

    private static void CheckMeans(float[] rows, int dim, Clusters clusters)
    {
        for (int c = 0; c < clusters.Sizes.Length; c++)
        {
            int[] members = [.. Enumerable.Range(0, clusters.Assignments.Length).Where(r => clusters.Assignments[r] == c)];
            Assert.Equal(members.Length, clusters.Sizes[c]);
            for (int j = 0; members.Length > 0 && j < dim; j++)
                Assert.Equal(members.Average(r => (double)rows[(r * dim) + j]), clusters.Centroids[(c * dim) + j], 1e-5);
        }
    }
}
