namespace KvTier.Recall;

/// <summary>Works a chunk's rows out and stores them.</summary>
internal sealed class ChunkBuilder(ChunkShape shape)
{
    /// <summary>Larger numbers would overflow in products and are treated as infinite.</summary>
    private const float LargestNumber = 1e15f;

    /// <summary>Share of a channel's variance that is left to it whatever the directions explain: less would be rounding, by which no
    /// reach could be told.</summary>
    private const float LeftShareMin = 1e-3f;
    private readonly int dim = shape.HeadDim;
    private readonly int subTokens = shape.Spec.ChunkTokens / shape.Spec.SubChunks;
    private readonly float limit = shape.Dtype == Dtype.Float16 ? (float)Half.MaxValue : LargestNumber;

    /// <summary>Where the chunk's keys and values are put before <see cref="Build"/>, which overwrites them.</summary>
    internal ChunkScratch Scratch { get; } = new(shape.Spec.ChunkTokens, shape.HeadDim);

    /// <summary>Builds the rows of a chunk.</summary>
    /// <param name="tokens">Tokens in it (n).</param>
    /// <param name="segment">Where they go.</param>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="chunk">Chunk in the segment.</param>
    /// <returns>What is odd about it; the rows of a quarantined chunk are zero. With a value map the scratch is left with the keys and
    /// values without their means, those of <see cref="ChunkShape.PeaksOf"/> left out.</returns>
    internal ChunkFlags Build(int tokens, DigestSegment segment, int head, int chunk)
    {
        Span<float> keys = Scratch.Keys[..(tokens * dim)];
        ChunkFlags flags = ChunkFlags.None;
        if (!Holds(keys))
        {
            flags = ChunkFlags.Quarantined;
            keys.Clear();
        }

        if (shape.Spec.OutlierChunks > 0)
        {
            KeyStatistics.Mean(keys, tokens, Scratch.Mean);
            segment.Cosines(head)[chunk] = KeyStatistics.SmallestCosine(keys, tokens, Scratch.Mean);
        }

        if (shape.Spec.Kind == DigestKind.Moments)
            flags |= BuildMoments(tokens, segment, head, chunk);
        else
            BuildMain(tokens, segment, head, chunk);
        segment.Flags(head)[chunk] = flags;
        return flags;
    }

    private bool Holds(ReadOnlySpan<float> rows) => RowMath.MaxAbs(rows) <= limit;

    private void BuildMain(int tokens, DigestSegment segment, int head, int chunk)
    {
        Span<float> row = Scratch.Row[..shape.RowLength(RowPart.Main)];
        for (int sub = 0; sub * subTokens < tokens; sub++)
        {
            int count = Math.Min(subTokens, tokens - (sub * subTokens));
            ReadOnlySpan<float> keys = Scratch.Keys.Slice(sub * subTokens * dim, count * dim);
            if (shape.Spec.Kind == DigestKind.Mean) KeyStatistics.Mean(keys, count, row);
            else if (shape.Spec.Kind == DigestKind.MinMax) KeyStatistics.Bounds(keys, count, row);
            else KeyStatistics.Cuboid(keys, count, row);
            Put(segment, head, RowPart.Main, (chunk * shape.Spec.SubChunks) + sub, row);
        }
    }

    private ChunkFlags BuildMoments(int tokens, DigestSegment segment, int head, int chunk)
    {
        Span<float> keys = Scratch.Keys[..(tokens * dim)];
        Span<float> row = Scratch.Row[..dim];
        bool holds = Holds(Scratch.Values[..(tokens * dim)]);
        if (!holds) Scratch.Values.Clear();
        if (shape.Spec.Bounds)
        {
            KeyStatistics.Bounds(Scratch.Keys, tokens, Scratch.Row);
            Put(segment, head, RowPart.Bounds, chunk, Scratch.Row);
        }

        tokens = PutPeaks(tokens, segment, head, chunk);
        keys = keys[..(tokens * dim)];
        KeyStatistics.Mean(keys, tokens, Scratch.Mean);
        Put(segment, head, RowPart.Main, chunk, Scratch.Mean);
        for (int t = 0; t < tokens; t++) RowMath.Subtract(keys.Slice(t * dim, dim), Scratch.Mean);
        // The mean has been stored: its room takes the variances, less what the directions explain, and then the deviations.
        Span<float> sigma = Scratch.Mean;
        Span<float> least = Scratch.Row.Slice(dim, dim);
        sigma.Clear();
        for (int t = 0; t < tokens; t++) RowMath.AddSquares(sigma, keys.Slice(t * dim, dim), 1f / tokens);
        sigma.CopyTo(least);
        RowMath.Scale(least, shape.Spec.Rank > 0 ? LeftShareMin : 0);
        if (shape.Spec.Rank > 0) MainDirection.Begin(keys, tokens, Scratch);
        for (int r = 0; r < shape.Spec.Rank; r++)
        {
            ReadOnlySpan<float> weights = MainDirection.Next(tokens, Scratch);
            MainDirection.Project(keys, weights, row);
            Put(segment, head, RowPart.Direction + r, chunk, row);
            RowMath.AddSquares(sigma, row, -1);
        }

        RowMath.Max(sigma, least);
        for (int j = 0; j < dim; j++) sigma[j] = MathF.Sqrt(sigma[j]);
        Put(segment, head, RowPart.Sigma, chunk, sigma);
        if (shape.HasReach) PutReach(keys, tokens, segment, head, chunk);
        PutValues(Scratch.Values[..(tokens * dim)], segment, head, chunk);
        return holds ? ChunkFlags.None : ChunkFlags.NoEstimate;
    }

    // Takes the peaks out; returns how many tokens stay, which are then the first of the scratch.
    private int PutPeaks(int tokens, DigestSegment segment, int head, int chunk)
    {
        int peaks = shape.PeaksOf(tokens);
        for (int p = 0; p < peaks; p++)
        {
            int rest = tokens - p - 1;
            PeakTokens.MoveFarthestToEnd(Scratch, tokens - p);
            Put(segment, head, RowPart.PeakKey + p, chunk, Scratch.Keys.Slice(rest * dim, dim));
            Put(segment, head, RowPart.PeakValue + p, chunk, Scratch.Values.Slice(rest * dim, dim));
        }

        return tokens - peaks;
    }

    private void PutReach(ReadOnlySpan<float> centred, int tokens, DigestSegment segment, int head, int chunk)
    {
        KeyStatistics.Bounds(centred, tokens, Scratch.Row);
        float scale = shape.HasScales ? segment.Scales(head, RowPart.Sigma, chunk, 1)[0] : 1;
        RowForm.Decode(shape.Dtype, segment.Rows(head, RowPart.Sigma, chunk, 1), scale, Scratch.Mean);
        segment.Reaches(head)[chunk] = MomentBound.Reach(Scratch.Row, Scratch.Mean);
    }

    private void PutValues(Span<float> values, DigestSegment segment, int head, int chunk)
    {
        Span<float> row = Scratch.Row[..dim];
        KeyStatistics.Mean(values, values.Length / dim, row);
        Put(segment, head, RowPart.Value, chunk, row);
        if (!shape.Spec.ValueMap) return;
        for (int at = 0; at < values.Length; at += dim) RowMath.Subtract(values.Slice(at, dim), row);
    }

    private void Put(DigestSegment segment, int head, RowPart part, int row, ReadOnlySpan<float> numbers)
    {
        Span<byte> stored = segment.Rows(head, part, row, 1);
        bool bounds = part == RowPart.Bounds || (part == RowPart.Main && shape.Spec.Kind == DigestKind.MinMax);
        float scale = bounds ? RowForm.Outward(shape.Dtype, numbers, stored) : RowForm.Nearest(shape.Dtype, numbers, stored);
        if (shape.HasScales) segment.Scales(head, part, row, 1)[0] = scale;
    }
}
