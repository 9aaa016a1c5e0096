using FsCheck;
using FsCheck.Fluent;

namespace KvTier.Kernels.Device.Tests;

/// <summary>
/// The device against the host's own kernels, on shapes that FsCheck makes: top-K alike to the last element; scores and attention within
/// the rounding of fp32 sums, twice the tolerance that each has against the reference.
/// </summary>
public sealed class HostAgreementTests(DeviceFixture fixture) : LeakGated
{
    private static readonly Dtype[] Dtypes = [.. ScoreTests.Dtypes.Select(row => row.Data)];

    protected override IReadOnlyList<(string Name, long Count)> LeakCounts => [("device bytes", fixture.Device.UsedBytes)];

    [Fact]
    public void TopK_AnyScores_AreThoseOfTheHost() =>
        Prop.ForAll<NonNull<float[]>, PositiveInt, byte>((scores, k, repeats) =>
        {
            // Each score some times over, so that there are ties; k at most 64, so that it is often below, often above their number.
            float[] all = [.. Enumerable.Repeat(scores.Get, (repeats % 8) + 1).SelectMany(copy => copy)];
            int count = ((k.Get - 1) % 64) + 1;
            int[] host = new int[count];
            int found = KvTier.Kernels.TopK.Select(all, count, host);
            int[] device = new int[count];
            KvError? error = fixture.Device.TopK(all, [new ScoreList(0, all.Length)], count, device, []);
            return error is null && host[..found].SequenceEqual(device[..found]) && device[found..].All(index => index == -1);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Score_AnyShape_AgreesWithTheHost() =>
        Prop.ForAll<PositiveInt, PositiveInt, int>((rowCount, size, seed) =>
        {
            Dtype dtype = Dtypes[(uint)seed % Dtypes.Length];
            (int count, int length, int queries) = (((rowCount.Get - 1) % 200) + 1, 4 * (((size.Get - 1) % 40) + 1), (seed & 15) + 1);
            var random = new Random(seed);
            using DeviceRows rows = DeviceRows.Random(fixture.Device, dtype, count, length, random);
            float[] query = [.. Enumerable.Range(0, queries * length).Select(_ => (float)DeviceRows.Normal(random))];
            float[] host = new float[queries * count];
            RowDot.Dot(dtype, rows.Bytes, count, length, query, queries, rows.Scales, host, count);
            float[] device = new float[queries * count];
            var batch = new ScoreBatch
            {
                Dtype = dtype,
                RowLength = length,
                Queries = queries,
                QueryRows = query,
                Ranges = new[] { new RowRange(rows.At(0), count, 0, rows.ScaleAt(0)) },
            };
            return fixture.Device.Score(batch, device) is null
                && Enumerable.Range(0, host.Length).All(i =>
                {
                    double bound = Enumerable.Range(0, length).Sum(j => Math.Abs(query[(i / count * length) + j] * rows[i % count, j]));
                    return Math.Abs(host[i] - device[i]) <= 2 * length * bound / (1 << 23);
                });
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Attend_AnyShape_AgreesWithTheHost() =>
        Prop.ForAll<PositiveInt, PositiveInt, int>((tokenCount, size, seed) =>
        {
            Dtype dtype = Dtypes[(uint)seed % Dtypes.Length];
            (int tokens, int dims, int queries) = (((tokenCount.Get - 1) % 150) + 1, 4 * (((size.Get - 1) % 64) + 1), (seed & 7) + 1);
            var random = new Random(seed);
            using DeviceRows keys = DeviceRows.Random(fixture.Device, dtype, tokens, dims, random);
            using DeviceRows values = DeviceRows.Random(fixture.Device, dtype, tokens, dims, random);
            float[] query = [.. Enumerable.Range(0, queries * dims).Select(_ => (float)DeviceRows.Normal(random))];
            float scale = 1 / MathF.Sqrt(dims);
            var part = new AttentionPart(queries, dims);
            part.Add(dtype, keys.Bytes, keys.Scales, values.Bytes, values.Scales, tokens, query, scale);
            (float[] hostOutput, float[] hostLse) = (new float[queries * dims], new float[queries]);
            part.Finish(hostOutput, hostLse);
            (float[] output, float[] lse) = (new float[queries * dims], new float[queries]);
            var batch = new AttendBatch
            {
                Dtype = dtype,
                Dims = dims,
                Scale = scale,
                Queries = query,
                Groups = new[] { new AttendGroup(0, queries, 0, 1) },
                Chunks = new[] { new AttendChunk(keys.At(0), values.At(0), tokens, keys.ScaleAt(0), values.ScaleAt(0)) },
            };
            if (fixture.Device.Attend(batch, output, lse) is not null) return false;
            double error = Math.Sqrt(output.Zip(hostOutput, (a, b) => Math.Pow(a - b, 2)).Sum());
            double norm = Math.Sqrt(hostOutput.Sum(o => (double)o * o));
            return error <= 2e-5 * norm && lse.Zip(hostLse, (a, b) => Math.Abs(a - b) <= 2e-5 * (1 + Math.Abs(b))).All(close => close);
        }).QuickCheckThrowOnFailure();
}
