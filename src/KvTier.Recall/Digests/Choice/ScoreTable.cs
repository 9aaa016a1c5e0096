namespace KvTier.Recall;

/// <summary>
/// The scores of one KV head's queries over all units, and what follows from them. One for each thread that selects, used again and
/// again, so that selecting allocates nothing.
/// </summary>
internal sealed class ScoreTable
{
    private const int StrideStep = 16;

    [ThreadStatic]
    private static ScoreTable? current;

    private float[] logits = [];
    private float[] planes = [];
    private float[] masses = [];
    private float[] keys = [];
    private float[] counts = [];
    private float[] restCounts = [];
    private float[] peakCounts = [];
    private int planeCount;
    private byte[] forced = [];
    private float[] maxima = [];
    private float[] totals = [];

    /// <summary>This thread's table.</summary>
    internal static ScoreTable Current => current ??= new ScoreTable();

    /// <summary>Bytes of the scores.</summary>
    internal long Bytes => sizeof(float) * ((long)logits.Length + planes.Length + masses.Length);

    /// <summary>Queries (W · G), window outside, group inside.</summary>
    internal int Queries { get; private set; }

    /// <summary>Query heads of the KV head (G).</summary>
    internal int Group { get; private set; }

    /// <summary>Units (U).</summary>
    internal int Units { get; private set; }

    /// <summary>Floats from one query's line to the next one's.</summary>
    internal int Stride { get; private set; }

    /// <summary>Scores <c>[W · G, stride]</c>: estimates of a unit's log-mean-exp, or bounds of its logits.</summary>
    internal Span<float> Logits => logits.AsSpan(0, Queries * Stride);

    /// <summary>What multiplies a unit's mass in the estimate of its values <c>[W · G, stride]</c>: its deviations in plane 0, its r-th
    /// direction in plane r.</summary>
    internal Span<float> Plane(int plane) => planes.AsSpan(plane * Queries * Stride, Queries * Stride);

    /// <summary>Peaks that a unit has at most (moments): tokens that are scored by themselves.</summary>
    internal int Peaks { get; private set; }

    /// <summary>Logits of the units' p-th peaks <c>[W · G, stride]</c>; after <see cref="Softmax"/> their masses.</summary>
    internal Span<float> PeakPlane(int peak) => Plane(planeCount - 1 - Peaks + peak);

    /// <summary>The masses without those of peaks, after <see cref="Softmax"/>.</summary>
    internal Span<float> RestMasses => Peaks == 0 ? Masses : Plane(planeCount - 1);

    /// <summary>Tokens · e^(logit - maximum) <c>[W · G, stride]</c>, after <see cref="Softmax"/>.</summary>
    internal Span<float> Masses => masses.AsSpan(0, Queries * Stride);

    /// <summary>Each query's largest logit.</summary>
    internal Span<float> Maxima => maxima.AsSpan(0, Queries);

    /// <summary>Each query's sum of masses.</summary>
    internal Span<float> Totals => totals.AsSpan(0, Queries);

    /// <summary>What units are ranked by <c>[U]</c>; NaN for what is not to be ranked.</summary>
    internal Span<float> Keys => keys.AsSpan(0, Units);

    /// <summary>Tokens of each unit <c>[U]</c>; 0 for a unit that is not scored.</summary>
    internal Span<float> Counts => counts.AsSpan(0, Units);

    /// <summary>1 for a unit that is chosen whatever its score <c>[U]</c>.</summary>
    internal Span<byte> Forced => forced.AsSpan(0, Units);

    /// <summary>Dot products of rows that a device has worked out; null for none.</summary>
    internal DeviceScores? OnDevice { get; set; }

    /// <summary>Room that the choice uses.</summary>
    internal ChoiceRoom Room { get; } = new();

    /// <summary>The transformed queries.</summary>
    internal QueryForms Forms { get; } = new();

    /// <summary>Gives the table its shape; contents are undefined, but for <see cref="Forced"/>, which is clear.</summary>
    /// <param name="queries">Queries (W · G).</param>
    /// <param name="group">Query heads of the KV head (G).</param>
    /// <param name="units">Units (U).</param>
    /// <param name="planes">Planes; the last ones are those of the peaks and the masses without them.</param>
    /// <param name="peaks">Peaks of a unit.</param>
    internal void Shape(int queries, int group, int units, int planes, int peaks)
    {
        planeCount = planes;
        Peaks = peaks;
        Queries = queries;
        Group = group;
        Units = units;
        Stride = (units + StrideStep - 1) / StrideStep * StrideStep;
        int cells = checked(queries * Stride);
        Grow(ref logits, cells);
        Grow(ref this.planes, checked(cells * planes));
        Grow(ref masses, cells);
        Grow(ref keys, units);
        Grow(ref counts, units);
        Grow(ref restCounts, units);
        Grow(ref peakCounts, units);
        Grow(ref forced, units);
        Grow(ref maxima, queries);
        Grow(ref totals, queries);
        Forced.Clear();
    }

    /// <summary>One query's line of a table.</summary>
    internal Span<float> Line(Span<float> table, int query) => table.Slice(query * Stride, Units);

    /// <summary>Makes logits numbers, and works out each query's masses, maximum and total.</summary>
    internal void Softmax()
    {
        if (Peaks > 0)
        {
            SoftmaxWithPeaks();
            return;
        }

        for (int q = 0; q < Queries; q++)
        {
            maxima[q] = SoftmaxMath.Max(Line(Logits, q), Counts);
            totals[q] = SoftmaxMath.Masses(Line(Logits, q), Counts, maxima[q], Line(Masses, q));
        }
    }

    private void SoftmaxWithPeaks()
    {
        for (int u = 0; u < Units; u++)
        {
            peakCounts[u] = Math.Min(counts[u], 1);
            restCounts[u] = counts[u] - Math.Clamp(counts[u] - 2, 0, Peaks);
        }

        ReadOnlySpan<float> rest = restCounts.AsSpan(0, Units);
        ReadOnlySpan<float> one = peakCounts.AsSpan(0, Units);
        for (int q = 0; q < Queries; q++)
        {
            float max = SoftmaxMath.Max(Line(Logits, q), rest);
            for (int p = 0; p < Peaks; p++) max = MathF.Max(max, SoftmaxMath.Max(Line(PeakPlane(p), q), one));
            maxima[q] = max;
            totals[q] = SoftmaxMath.Masses(Line(Logits, q), rest, max, Line(RestMasses, q));
            Line(RestMasses, q).CopyTo(Line(Masses, q));
            for (int p = 0; p < Peaks; p++)
            {
                totals[q] += SoftmaxMath.Masses(Line(PeakPlane(p), q), one, max, Line(PeakPlane(p), q));
                RowMath.Add(Line(Masses, q), Line(PeakPlane(p), q));
            }
        }
    }

    private static void Grow<T>(ref T[] array, int length)
    {
        if (array.Length < length) array = new T[Math.Max(length, 2 * array.Length)];
    }
}
