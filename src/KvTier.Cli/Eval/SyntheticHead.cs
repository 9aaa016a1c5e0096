namespace KvTier.Cli;

/// <summary>
/// What the keys and values of one KV head are made of: directions of topics and words, a constant offset, a sink, positional
/// channels and the needles. Everything is before RoPE.
/// </summary>
internal sealed class SyntheticHead
{
    /// <summary>Tokens at the start that draw attention whatever they say.</summary>
    public const int Sinks = 4;

    // Shares of a key: topic, what was said in the last few tokens, the word itself, noise. A chunk of 16 then has a little under half
    // of the spread of its logits in its mean, and digests must work for the rest.
    private const float TopicInKey = 0.45f;
    private const float ContextInKey = 0.45f;
    private const float WordInKey = 0.60f;
    private const float NoiseInKey = 0.50f;

    // Values say what a token means: word before topic.
    private const float TopicInValue = 0.40f;
    private const float WordInValue = 0.55f;
    private const float ContextInValue = 0.35f;
    private const float NoiseInValue = 0.60f;
    private const float OffsetInValue = 0.30f;

    // One token weighs 0.85 of the one before it: the context lasts about six tokens.
    private const float ContextDecay = 0.85f;

    // Outlier channels: four slow pairs far above the rest, the same for every token.
    private const int OutlierPairs = 4;
    private const float OutlierAmplitude = 9;
    private const float PositionAmplitude = 1.2f;
    private const float SinkAmplitude = 22;

    // Real sinks' values are close to nothing.
    private const float SinkValue = 0.05f;

    private readonly SyntheticText text;
    private readonly int dim;
    private readonly float[] valueTopics;
    private readonly float[] valueWords;
    private readonly float[] valueOffset;
    private readonly SyntheticRandom random;

    /// <summary>Draws a head's directions.</summary>
    public SyntheticHead(SyntheticText text, int headDim, int needles, SyntheticRandom random)
    {
        this.text = text;
        this.random = random;
        dim = headDim;
        int half = headDim / 2;
        Topics = Normal(SyntheticText.Topics * dim);
        Words = Normal(SyntheticText.Words * dim);
        valueTopics = Normal(SyntheticText.Topics * dim);
        valueWords = Normal(SyntheticText.Words * dim);
        valueOffset = Normal(dim);
        Offset = new float[dim];
        for (int i = 0; i < OutlierPairs; i++)
        {
            // One in each quarter of the slow channels, 3/4 to 15/16 of the pairs: slow enough to point one way over 32,768 tokens.
            int pair = (half * 3 / 4) + (((i * half * 3 / 16) + random.NextInt(half * 3 / 16)) / OutlierPairs);
            AddPair(pair, OutlierAmplitude * (0.7 + (0.6 * random.NextDouble())));
        }

        PositionFirst = half * 14 / 64;
        PositionEnd = half * 34 / 64;
        for (int i = PositionFirst; i < PositionEnd; i++) AddPair(i, PositionAmplitude);
        Sink = new float[dim];
        Sink[half - 1] = Sink[half - 2] = MathF.Sqrt(0.5f);
        NeedleKeys = Directions(needles, half * 40 / 64);
        NeedleValues = Normal(needles * dim);
    }

    /// <summary>Directions of topics in keys <c>[topics, D]</c>.</summary>
    public float[] Topics { get; }

    /// <summary>Directions of words in keys <c>[words, D]</c>.</summary>
    public float[] Words { get; }

    /// <summary>What every key has added <c>[D]</c>.</summary>
    public float[] Offset { get; }

    /// <summary>First pair whose offset tells positions apart.</summary>
    public int PositionFirst { get; }

    /// <summary>End of those pairs.</summary>
    public int PositionEnd { get; }

    /// <summary>The sinks' direction <c>[D]</c>, of length 1, in the slowest pairs.</summary>
    public float[] Sink { get; }

    /// <summary>The needles' directions <c>[needles, D]</c>, each of length 1.</summary>
    public float[] NeedleKeys { get; }

    /// <summary>The needles' values <c>[needles, D]</c>.</summary>
    public float[] NeedleValues { get; }

    /// <summary>Writes the keys and values of a head, keys rotated to their positions.</summary>
    /// <param name="keys"><c>[T, D]</c>.</param>
    /// <param name="values"><c>[T, D]</c>.</param>
    /// <param name="needleTokens">Where the needles lie.</param>
    /// <param name="rope">The rotation.</param>
    public void Write(Span<float> keys, Span<float> values, ReadOnlySpan<int> needleTokens, SyntheticRope rope)
    {
        float[] context = Normal(dim);
        var noise = new float[3 * dim];
        for (int t = 0; t < text.TopicOf.Length; t++)
        {
            Span<float> key = keys.Slice(t * dim, dim);
            Span<float> value = values.Slice(t * dim, dim);
            random.FillNormal(noise);
            WriteToken(key, value, text.TopicOf[t] * dim, text.WordOf[t] * dim, context, noise);
            int needle = needleTokens.IndexOf(t);
            if (t < Sinks) MakeSink(key, value, noise);
            else if (needle >= 0) MakeNeedle(key, value, needle, noise);
            rope.Rotate(key, t);
        }
    }

    private void WriteToken(Span<float> key, Span<float> value, int topic, int word, float[] context, float[] noise)
    {
        float fresh = MathF.Sqrt(1 - (ContextDecay * ContextDecay));
        for (int i = 0; i < dim; i++)
        {
            context[i] = (ContextDecay * context[i]) + (fresh * noise[i]);
            key[i] = Offset[i] + (TopicInKey * Topics[topic + i]) + (ContextInKey * context[i])
                + (WordInKey * Words[word + i]) + (NoiseInKey * noise[dim + i]);
        }

        for (int i = 0; i < dim; i++)
        {
            value[i] = (OffsetInValue * valueOffset[i]) + (TopicInValue * valueTopics[topic + i]) + (WordInValue * valueWords[word + i])
                + (ContextInValue * context[dim - 1 - i]) + (NoiseInValue * noise[(2 * dim) + i]);
        }
    }

    private void MakeSink(Span<float> key, Span<float> value, float[] noise)
    {
        for (int i = 0; i < dim; i++)
        {
            key[i] = (0.3f * Offset[i]) + (SinkAmplitude * Sink[i]) + (0.5f * noise[dim + i]);
            value[i] *= SinkValue;
        }
    }

    // A needle's key is as long as any other's (a key's own part has a variance of about 1 a channel), so only its direction tells.
    private void MakeNeedle(Span<float> key, Span<float> value, int needle, float[] noise)
    {
        float length = MathF.Sqrt(dim);
        for (int i = 0; i < dim; i++)
        {
            key[i] = Offset[i] + (length * NeedleKeys[(needle * dim) + i]) + (0.1f * noise[dim + i]);
            value[i] = NeedleValues[(needle * dim) + i];
        }
    }

    private float[] Normal(int count)
    {
        var numbers = new float[count];
        random.FillNormal(numbers);
        return numbers;
    }

    private void AddPair(int pair, double amplitude)
    {
        (double sine, double cosine) = Math.SinCos(random.NextDouble() * 2 * Math.PI);
        Offset[pair] += (float)(amplitude * cosine);
        Offset[pair + (dim / 2)] += (float)(amplitude * sine);
    }

    // Directions in the pairs from firstPair on: what a needle says must be legible from far away.
    private float[] Directions(int count, int firstPair)
    {
        float[] rows = Normal(count * dim);
        for (int n = 0; n < count; n++)
        {
            Span<float> row = rows.AsSpan(n * dim, dim);
            double sum = 0;
            for (int i = 0; i < dim; i++)
            {
                if (i % (dim / 2) < firstPair) row[i] = 0;
                sum += row[i] * row[i];
            }

            float scale = (float)(1 / Math.Sqrt(sum));
            for (int i = 0; i < dim; i++) row[i] *= scale;
        }

        return rows;
    }
}
