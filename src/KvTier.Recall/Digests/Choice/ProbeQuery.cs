namespace KvTier.Recall;

/// <summary>
/// One query for a window of them (ActQKV): each is weighted by how far it is from the window's mean, channel by channel in units of the
/// channel's variance, so that unusual queries count most.
/// </summary>
internal static class ProbeQuery
{
    /// <summary>Share of the mean variance that is added to every channel's, so that a still channel does not decide alone.</summary>
    private const float VarianceShare = 0.01f;
    private const int WindowOnStack = 256;

    /// <summary>Writes the probe query.</summary>
    /// <param name="queries">fp32 <c>[W, Hq · D]</c>.</param>
    /// <param name="window">Queries in the window (W).</param>
    /// <param name="probe">Receives <c>[Hq · D]</c>.</param>
    internal static void Write(ReadOnlySpan<float> queries, int window, Span<float> probe)
    {
        int width = probe.Length;
        if (window == 1)
        {
            queries.CopyTo(probe);
            return;
        }

        Span<float> deviations = window <= WindowOnStack ? stackalloc float[window] : new float[window];
        deviations.Clear();
        float meanVariance = 0;
        for (int j = 0; j < width; j++) meanVariance += Variance(queries, window, width, j, out _) / width;
        for (int j = 0; j < width; j++)
        {
            float variance = Variance(queries, window, width, j, out float mean) + (VarianceShare * meanVariance);
            if (variance == 0) continue;
            for (int w = 0; w < window; w++)
            {
                float off = queries[(w * width) + j] - mean;
                deviations[w] += off * off / variance;
            }
        }

        float total = 0;
        foreach (float deviation in deviations) total += deviation;
        probe.Clear();
        for (int w = 0; w < window; w++)
            RowMath.AddScaled(probe, queries.Slice(w * width, width), total > 0 ? deviations[w] / total : 1f / window);
    }

    private static float Variance(ReadOnlySpan<float> queries, int window, int width, int channel, out float mean)
    {
        mean = 0;
        for (int w = 0; w < window; w++) mean += queries[(w * width) + channel] / window;
        float variance = 0;
        for (int w = 0; w < window; w++)
        {
            float off = queries[(w * width) + channel] - mean;
            variance += off * off / window;
        }

        return variance;
    }
}
