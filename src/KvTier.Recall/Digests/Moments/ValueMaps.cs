namespace KvTier.Recall;

/// <summary>
/// How values follow keys: for each layer and KV head a matrix W with v - v̄ ≈ (k - μ) W, by ridge regression on the first full chunks. It
/// tells where the values of a chunk's mass lie, for no bytes a chunk. Until enough tokens were seen there is none.
/// </summary>
internal sealed class ValueMaps : IDisposable
{
    /// <summary>Tokens for each key channel from which on a fit is made.</summary>
    internal const int TokensPerChannel = 8;

    /// <summary>Tokens after which the fit is final and the sums are freed.</summary>
    internal const int TokensMax = 4096;

    /// <summary>Longer rows get no map: the fit would take longer than the digests.</summary>
    internal const int HeadDimMax = 256;
    private readonly bool collects;
    private readonly int heads;
    private readonly int dim;
    private SharedNumbers? sums;
    private SharedNumbers? maps;
    private int tokens;

    /// <summary>Makes empty maps.</summary>
    internal ValueMaps(int heads, int dim)
    {
        this.heads = heads;
        this.dim = dim;
        if (dim <= HeadDimMax) sums = new SharedNumbers(2L * heads * dim * dim);
    }

    private ValueMaps(int heads, int dim, bool collects)
    {
        this.heads = heads;
        this.dim = dim;
        this.collects = collects;
        if (collects) sums = new SharedNumbers(2L * heads * dim * dim);
    }

    private ValueMaps(ValueMaps other)
    {
        Blocks = other.Blocks;
        heads = other.heads;
        dim = other.dim;
        tokens = other.tokens;
        sums = other.sums?.Share();
        maps = other.maps?.Share();
    }

    /// <summary>Maps that are learnt elsewhere and given.</summary>
    internal static ValueMaps OfPart(int heads, int dim) => new(heads, dim, collects: false);

    /// <summary>Maps that only sum up, for others to learn from.</summary>
    internal static ValueMaps Collector(int heads, int dim) => new(heads, dim, collects: true);

    /// <summary>First blocks of the sequence that given maps were learnt from; 0 while none are given.</summary>
    internal int Blocks { get; private set; }

    /// <summary>The sums of a head: keys with keys, then keys with values, <c>[2, D, D]</c>.</summary>
    internal ReadOnlySpan<float> Sums(int head) => sums!.Slice(2L * head * dim * dim, 2 * dim * dim);

    /// <summary>Takes maps of some heads.</summary>
    /// <param name="firstHead">The first head, layer · Hkv + KV head.</param>
    /// <param name="given">Their maps <c>[heads, D, D]</c>.</param>
    /// <param name="blocks">Blocks that they were learnt from; they are used when those of the last head have come.</param>
    internal void Give(int firstHead, ReadOnlySpan<float> given, int blocks)
    {
        if (firstHead == 0)
        {
            maps?.Release();
            maps = new SharedNumbers((long)heads * dim * dim);
            Blocks = 0;
        }

        if (maps is null) return;
        given.CopyTo(maps.Slice((long)firstHead * dim * dim, given.Length));
        if (firstHead + (given.Length / (dim * dim)) == heads) Blocks = blocks;
    }

    /// <summary>Native bytes.</summary>
    internal long NativeBytes => (sums?.Bytes ?? 0) + (maps?.Bytes ?? 0);

    /// <summary>Tokens of each head that were sampled; more are wanted while <see cref="IsLearning"/>.</summary>
    internal int Tokens => tokens;

    /// <summary>True while samples are taken.</summary>
    internal bool IsLearning => sums is not null;

    /// <summary>The map of a head <c>[D, D]</c>, row i for channel i of the key; empty while there is none.</summary>
    internal ReadOnlySpan<float> Map(int head) => maps is null ? [] : maps.Slice((long)head * dim * dim, dim * dim);

    /// <summary>Adds a chunk of one head.</summary>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="keys">Keys without their mean <c>[n, D]</c>.</param>
    /// <param name="values">Values without their mean <c>[n, D]</c>.</param>
    internal void Add(int head, ReadOnlySpan<float> keys, ReadOnlySpan<float> values)
    {
        sums = sums!.Own(dim * dim);
        Span<float> squares = Squares(head);
        Span<float> products = Products(head);
        for (int at = 0; at < keys.Length; at += dim)
        {
            for (int j = 0; j < dim; j++)
            {
                RowMath.AddScaled(squares.Slice(j * dim, dim), keys.Slice(at, dim), keys[at + j]);
                RowMath.AddScaled(products.Slice(j * dim, dim), values.Slice(at, dim), keys[at + j]);
            }
        }
    }

    /// <summary>Counts tokens whose chunks were added in every head, and fits when there are enough.</summary>
    internal void Count(int added)
    {
        int before = tokens;
        tokens += added;
        if (collects) return;
        bool ends = tokens >= TokensMax;
        if (ends || (before < TokensPerChannel * dim && tokens >= TokensPerChannel * dim)) Fit();
        if (!ends) return;
        sums!.Release();
        sums = null;
    }

    /// <summary>Maps that share what was learnt.</summary>
    internal ValueMaps Share() => new(this);

    /// <inheritdoc/>
    public void Dispose()
    {
        sums?.Release();
        maps?.Release();
        (sums, maps) = (null, null);
    }

    private Span<float> Squares(int head) => sums!.Slice(2L * head * dim * dim, dim * dim);

    private Span<float> Products(int head) => sums!.Slice(((2L * head) + 1) * dim * dim, dim * dim);

    private void Fit()
    {
        var fitted = new SharedNumbers((long)heads * dim * dim);
        float[] factor = new float[dim * dim];
        for (int head = 0; head < heads; head++)
        {
            Squares(head).CopyTo(factor);
            Span<float> map = fitted.Slice((long)head * dim * dim, dim * dim);
            Products(head).CopyTo(map);
            RidgeRegression.Solve(factor, map, dim);
        }

        maps?.Release();
        maps = fitted;
    }
}
