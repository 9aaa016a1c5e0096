namespace KvTier.Kernels.Device.Tests;

/// <summary>
/// Partial attention against softmax in double over the decoded elements. Tolerance: ‖o - o'‖ / ‖o‖ below 1e-5 and |lse - lse'| below
/// 1e-5 · (1 + |lse|), for every dtype: rounding of the stored elements is not in it.
/// </summary>
public sealed class AttendTests(DeviceFixture fixture) : LeakGated
{
    private const double Tolerance = 1e-5;

    private static readonly int[] GroupSizes = [1, 4, 8];
    private static readonly int[] TokenCounts = [27, 61, 113, 482, 577, 1110, 1541];

    public static TheoryData<Dtype, int, int, int> Shapes()
    {
        var shapes = new TheoryData<Dtype, int, int, int>();
        int shape = 0;
        foreach (Dtype dtype in ScoreTests.Dtypes.Select(row => row.Data))
        {
            // Every dtype with every head dim; group sizes and token counts go round in steps of their own.
            foreach (int dims in (int[])[32, 64, 80, 96, 128, 256])
            {
                shapes.Add(dtype, dims, GroupSizes[(shape + (shape / 6)) % 3], TokenCounts[shape % TokenCounts.Length]);
                shape++;
            }
        }

        return shapes;
    }

    protected override IReadOnlyList<(string Name, long Count)> LeakCounts => [("device bytes", fixture.Device.UsedBytes)];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Attend_RaggedChunks_MatchesTheReference(Dtype dtype, int dims, int queries, int tokens)
    {
        var random = new Random((dims * 100) + tokens);
        using var data = new KeysAndValues(fixture.Device, dtype, tokens, dims, random);
        float[] query = Queries(2 * queries, dims, random);
        List<AttendChunk> chunks = data.Chunks(random, tokens);
        int half = chunks.Count / 2;
        // The second group shares the last half of the first one's chunks.
        AttendGroup[] groups = [new(0, queries, 0, chunks.Count), new(queries, queries, half, chunks.Count - half)];
        (float[] outputs, float[] lses) = Run(dtype, dims, query, groups, chunks);
        data.AssertAttention(query, 0, queries, chunks, outputs, lses);
        data.AssertAttention(query, queries, queries, chunks[half..], outputs, lses);
    }

    [Theory]
    [InlineData(9)]
    [InlineData(16)]
    [InlineData(33)]
    [InlineData(64)]
    public void Attend_MoreThanEightQueries_MatchesTheReference(int queries)
    {
        var random = new Random(queries);
        using var data = new KeysAndValues(fixture.Device, Dtype.Float16, 300, 64, random);
        float[] query = Queries(queries, 64, random);
        List<AttendChunk> chunks = data.Chunks(random, 300);
        (float[] outputs, float[] lses) = Run(Dtype.Float16, 64, query, [new(0, queries, 0, chunks.Count)], chunks);
        data.AssertAttention(query, 0, queries, chunks, outputs, lses);
    }

    [Fact]
    public void Attend_EmptyLists_GiveZeroAndMinusInfinity()
    {
        var random = new Random(3);
        using var data = new KeysAndValues(fixture.Device, Dtype.Float32, 10, 32, random);
        float[] query = Queries(5, 32, random);
        List<AttendChunk> chunks = [new(data.Keys.At(0), data.Values.At(0), 0), new(data.Keys.At(0), data.Values.At(0), 10)];
        // No chunks; only an empty chunk; no group at all; an empty chunk before one that is not.
        AttendGroup[] groups = [new(0, 1, 0, 0), new(1, 1, 0, 1), new(3, 2, 0, 2)];
        (float[] outputs, float[] lses) = Run(Dtype.Float32, 32, query, groups, chunks);
        Assert.All(outputs[..(3 * 32)], o => Assert.Equal(0f, o));
        Assert.All(lses[..3], lse => Assert.Equal(float.NegativeInfinity, lse));
        data.AssertAttention(query, 3, 2, chunks, outputs, lses);

        (outputs, lses) = Run(Dtype.Float32, 32, query, [], []);
        Assert.All(outputs, o => Assert.Equal(0f, o));
        Assert.All(lses, lse => Assert.Equal(float.NegativeInfinity, lse));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(16)]
    public void Attend_PartsMergedOnTheHost_EqualTheWhole(int parts)
    {
        var random = new Random(parts);
        const int Tokens = 997;
        using var data = new KeysAndValues(fixture.Device, Dtype.BFloat16, Tokens, 128, random);
        float[] query = Queries(4, 128, random);
        (double[] sums, double[] masses) = (new double[4 * 128], new double[4]);
        for (int part = 0; part < parts; part++)
        {
            int first = Tokens * part / parts / 8 * 8;
            int end = part + 1 == parts ? Tokens : Tokens * (part + 1) / parts / 8 * 8;
            List<AttendChunk> chunks = [new(data.Keys.At(first), data.Values.At(first), end - first)];
            (float[] outputs, float[] lses) = Run(Dtype.BFloat16, 128, query, [new(0, 4, 0, 1)], chunks);
            for (int q = 0; q < 4; q++)
            {
                double weight = Math.Exp(lses[q]);
                masses[q] += weight;
                for (int d = 0; d < 128; d++) sums[(q * 128) + d] += weight * outputs[(q * 128) + d];
            }
        }

        float[] merged = [.. sums.Select((sum, i) => (float)(sum / masses[i / 128]))];
        List<AttendChunk> whole = [new(data.Keys.At(0), data.Values.At(0), Tokens)];
        data.AssertAttention(query, 0, 4, whole, merged, [.. masses.Select(mass => (float)Math.Log(mass))]);
    }

    [Fact]
    public void Attend_HugeScores_DoNotOverflow()
    {
        var random = new Random(8);
        using var data = new KeysAndValues(fixture.Device, Dtype.Float32, 200, 64, random);
        float[] query = [.. Queries(2, 64, random).Select(q => q * 300)];
        List<AttendChunk> chunks = data.Chunks(random, 200);
        (float[] outputs, float[] lses) = Run(Dtype.Float32, 64, query, [new(0, 2, 0, chunks.Count)], chunks);
        data.AssertAttention(query, 0, 2, chunks, outputs, lses, 1e-3);
    }

    private static float[] Queries(int count, int dims, Random random) =>
        [.. Enumerable.Range(0, count * dims).Select(_ => (float)DeviceRows.Normal(random))];

    private (float[] Outputs, float[] Lses) Run(
        Dtype dtype, int dims, float[] queries, AttendGroup[] groups, List<AttendChunk> chunks)
    {
        float[] outputs = new float[queries.Length];
        float[] lses = new float[queries.Length / dims];
        var batch = new AttendBatch
        {
            Dtype = dtype,
            Dims = dims,
            Scale = KeysAndValues.Scale(dims),
            Queries = queries,
            Groups = groups,
            Chunks = [.. chunks],
        };
        Assert.Null(fixture.Device.Attend(batch, outputs, lses));
        return (outputs, lses);
    }

    /// <summary>Keys and values on the device, and attention over them in double.</summary>
    private sealed class KeysAndValues(RecallDevice device, Dtype dtype, int tokens, int dims, Random random) : IDisposable
    {
        public DeviceRows Keys { get; } = DeviceRows.Random(device, dtype, tokens, dims, random);

        public DeviceRows Values { get; } = DeviceRows.Random(device, dtype, tokens, dims, random);

        /// <summary>1/(√D · temperature), with a temperature that is not 1.</summary>
        public static float Scale(int dims) => 1 / (MathF.Sqrt(dims) * 1.25f);

        /// <summary>Chunks of 1 to 64 tokens in random order, some twice; they start at multiples of 4 tokens, so that offsets are aligned.
        /// </summary>
        public List<AttendChunk> Chunks(Random order, int total)
        {
            var chunks = new List<AttendChunk>();
            for (int taken = 0; taken < total;)
            {
                int count = Math.Min(order.Next(1, 65), total - taken);
                int first = order.Next((total - count) / 4 + 1) * 4;
                if (first + count > total) first = 0;
                chunks.Add(new AttendChunk(Keys.At(first), Values.At(first), count, Keys.ScaleAt(first), Values.ScaleAt(first)));
                taken += count;
            }

            return chunks;
        }

        public void AssertAttention(
            float[] queries, int firstQuery, int count, List<AttendChunk> chunks, float[] outputs, float[] lses,
            double tolerance = Tolerance)
        {
            for (int q = firstQuery; q < firstQuery + count; q++)
            {
                var logits = new List<(double Logit, int Token)>();
                foreach (AttendChunk chunk in chunks)
                {
                    int first = (int)((chunk.KeyOffset - Keys.At(0)) / (dims * dtype.SizeBytes()));
                    for (int token = first; token < first + chunk.Tokens; token++)
                    {
                        double dot = 0;
                        for (int d = 0; d < dims; d++) dot += queries[(q * dims) + d] * Keys[token, d];
                        logits.Add((dot * Scale(dims), token));
                    }
                }

                double best = logits.Max(entry => entry.Logit);
                double mass = logits.Sum(entry => Math.Exp(entry.Logit - best));
                (double error, double size) = (0, 0);
                for (int d = 0; d < dims; d++)
                {
                    double expected = logits.Sum(entry => Math.Exp(entry.Logit - best) * Values[entry.Token, d]) / mass;
                    error += Math.Pow(expected - outputs[(q * dims) + d], 2);
                    size += expected * expected;
                }

                Assert.True(Math.Sqrt(error / size) < tolerance, $"query {q}: relative error {Math.Sqrt(error / size)}");
                double lse = best + Math.Log(mass);
                Assert.Equal(lse, lses[q], tolerance * (1 + Math.Abs(lse)));
            }
        }

        public void Dispose()
        {
            Keys.Dispose();
            Values.Dispose();
        }
    }
}
