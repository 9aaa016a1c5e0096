using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>Seeded rows of every dtype, and what they say in fp32.</summary>
internal static class Rows
{
    internal static readonly Dtype[] Dtypes =
        [Dtype.Float32, Dtype.Float16, Dtype.BFloat16, Dtype.Float8E4M3, Dtype.Float8E5M2, Dtype.Int8];

    internal static float[] Normal(Random random, int count, float scale = 1)
    {
        float[] values = new float[count];
        foreach (ref float value in values.AsSpan())
            value = scale * (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return values;
    }

    /// <summary>Elements of a dtype made from normal values, and these elements in fp32 as the readable reference reads them.</summary>
    internal static (byte[] Stored, float[] Exact) Of(Dtype dtype, Random random, int count)
    {
        float[] values = Normal(random, count, dtype == Dtype.Int8 ? 40 : 1);
        byte[] stored = new byte[count * dtype.SizeBytes()];
        RowConvert.FromSingle(dtype, values, stored);
        float[] exact = new float[count];
        for (int i = 0; i < count; i++) exact[i] = ScalarConvert.Read(dtype, stored, i);
        return (stored, exact);
    }

    /// <summary>‖a - b‖ / ‖b‖.</summary>
    internal static double RelativeError(ReadOnlySpan<float> a, ReadOnlySpan<double> b)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < a.Length; i++)
        {
            difference += (a[i] - b[i]) * (a[i] - b[i]);
            norm += b[i] * b[i];
        }

        return norm == 0 ? difference : Math.Sqrt(difference / norm);
    }
}
