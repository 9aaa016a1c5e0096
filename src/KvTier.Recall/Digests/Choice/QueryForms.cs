namespace KvTier.Recall;

/// <summary>
/// The transformed queries of one KV head: every digest's score is a dot product of stored rows with one of them. All are scaled already,
/// so that scores are logits.
/// </summary>
internal sealed class QueryForms
{
    private float[] plain = [];
    private float[] squares = [];
    private float[] magnitudes = [];
    private float[] signs = [];
    private int count;
    private int dim;

    /// <summary>q · scale, <c>[Q, D]</c>.</summary>
    internal ReadOnlySpan<float> Plain => plain.AsSpan(0, count * dim);

    /// <summary>(q · scale)², <c>[Q, D]</c>.</summary>
    internal ReadOnlySpan<float> Squares => squares.AsSpan(0, count * dim);

    /// <summary>|q · scale|, <c>[Q, D]</c>.</summary>
    internal ReadOnlySpan<float> Magnitudes => magnitudes.AsSpan(0, count * dim);

    /// <summary><c>[q⁺ | q⁻] · scale</c>, <c>[Q, 2D]</c>: its dot product with <c>[max | min]</c> is Σ max(q·max, q·min).</summary>
    internal ReadOnlySpan<float> Signs => signs.AsSpan(0, 2 * count * dim);

    /// <summary>Takes queries.</summary>
    /// <param name="queries">fp32 <c>[Q, D]</c>.</param>
    /// <param name="headDim">Elements of a query (D).</param>
    /// <param name="scale">Factor of q·k.</param>
    internal void Set(ReadOnlySpan<float> queries, int headDim, float scale)
    {
        dim = headDim;
        count = queries.Length / headDim;
        if (plain.Length < queries.Length)
        {
            plain = new float[queries.Length];
            squares = new float[queries.Length];
            magnitudes = new float[queries.Length];
            signs = new float[2 * queries.Length];
        }

        for (int i = 0; i < queries.Length; i++)
        {
            float value = queries[i] * scale;
            int sign = (i / headDim * 2 * headDim) + (i % headDim);
            plain[i] = value;
            squares[i] = value * value;
            magnitudes[i] = MathF.Abs(value);
            signs[sign] = MathF.Max(value, 0);
            signs[sign + headDim] = MathF.Min(value, 0);
        }
    }
}
