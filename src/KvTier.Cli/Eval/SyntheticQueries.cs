using System.Numerics;
using System.Runtime.InteropServices;

namespace KvTier.Cli;

/// <summary>
/// The queries of one query head, step by step: content that drifts and sometimes jumps, scaled so that the logits spread as its kind
/// says, with a share of the mass for the sinks and, where asked, one needle.
/// </summary>
internal sealed class SyntheticQueries
{
    // Two steps' contents have cosine 0.9 unless the query jumps, which it does in 4 % of the steps.
    private const double Drift = 0.9;
    private const double JumpShare = 0.04;
    private const int Samples = 512;

    // The needle's logit: this much above the log-sum-exp of all others, 95 % of the mass.
    private const double NeedleMargin = 3;

    private readonly SyntheticText text;
    private readonly SyntheticHead head;
    private readonly float[] keys;
    private readonly int first;
    private readonly int dim;
    private readonly SyntheticRope rope;
    private readonly SyntheticRandom random;
    private readonly double spread;
    private readonly double sinkShare;
    private readonly float position;
    private readonly float[] envelope;
    private readonly float[] content;
    private readonly float[] fresh;
    private readonly float[] logits;
    private readonly float[] slopes;

    /// <summary>Starts a head's queries.</summary>
    /// <param name="text">The text.</param>
    /// <param name="head">Its KV head.</param>
    /// <param name="kind">How it attends.</param>
    /// <param name="keys">All keys <c>[Hkv, T, D]</c>, rotated.</param>
    /// <param name="kvHead">Which of them it reads.</param>
    /// <param name="rope">The rotation, with room for T + steps.</param>
    /// <param name="random">Its random numbers.</param>
    public SyntheticQueries(
        SyntheticText text,
        SyntheticHead head,
        SyntheticHeadKind kind,
        float[] keys,
        int kvHead,
        SyntheticRope rope,
        SyntheticRandom random)
    {
        (this.text, this.head, this.keys, this.rope, this.random) = (text, head, keys, rope, random);
        dim = head.Offset.Length;
        first = kvHead * text.TopicOf.Length * dim;
        position = kind.Position;
        spread = kind.Spread * (0.9 + (0.2 * random.NextDouble()));
        sinkShare = kind.SinkShare * (0.7 + (0.6 * random.NextDouble()));
        envelope = new float[dim];
        int half = dim / 2;

        // Queries look at content through the slow pairs, which point the same way over thousands of tokens.
        for (int i = 0; i < dim; i++)
        {
            double beyond = ((i % half) - (half * 38 / 64.0)) / (half * 5 / 64.0);
            envelope[i] = (float)((1 / (1 + Math.Exp(-beyond))) + 0.12);
        }

        content = new float[dim];
        fresh = new float[dim];
        logits = new float[text.TopicOf.Length];
        slopes = new float[text.TopicOf.Length];
        Jump();
    }

    private int Tokens => text.TopicOf.Length;

    /// <summary>Writes the next step's query.</summary>
    /// <param name="query"><c>[D]</c>, rotated to position T + step.</param>
    /// <param name="step">The step, 0 first, each once.</param>
    /// <param name="needleToken">The token to ask for; -1 for none.</param>
    public void Next(Span<float> query, int step, int needleToken)
    {
        if (step > 0) Move();
        content.CopyTo(query);
        rope.Rotate(query, Tokens + step);
        float scale = (float)(spread / SampledSpread(query));
        for (int i = 0; i < dim; i++) query[i] = content[i] * scale;
        int half = dim / 2;
        for (int i = head.PositionFirst; i < head.PositionEnd; i++)
        {
            query[i] += position * head.Offset[i];
            query[i + half] += position * head.Offset[i + half];
        }

        rope.Rotate(query, Tokens + step);
        LookAtSinks(query);
        if (needleToken >= 0) AskFor(query, needleToken);
    }

    private void Move()
    {
        if (random.NextDouble() < JumpShare)
        {
            Jump();
            return;
        }

        Draw();
        float share = (float)Math.Sqrt(1 - (Drift * Drift));
        for (int i = 0; i < dim; i++) content[i] = ((float)Drift * content[i]) + (share * fresh[i]);
    }

    // A new content: four interests at once.
    private void Jump()
    {
        content.AsSpan().Clear();
        for (int n = 0; n < 4; n++)
        {
            Draw();
            for (int i = 0; i < dim; i++) content[i] += 0.5f * fresh[i];
        }
    }

    // One interest: a topic, rather a recent one, and a word of the text.
    private void Draw()
    {
        int back = (int)Math.Min(random.NextExponential(Tokens / 3.0), Tokens - 1);
        int topic = text.TopicOf[Tokens - 1 - back] * dim;
        int word = text.WordOf[random.NextInt(Tokens)] * dim;
        random.FillNormal(fresh);
        for (int i = 0; i < dim; i++)
        {
            fresh[i] = ((0.6f * head.Topics[topic + i]) + (0.7f * head.Words[word + i]) + (0.5f * fresh[i])) * envelope[i];
        }
    }

    private double SampledSpread(ReadOnlySpan<float> query)
    {
        int stride = Math.Max(1, Tokens / Samples);
        double sum = 0;
        double squares = 0;
        int count = 0;
        for (int t = SyntheticHead.Sinks + (stride / 2); t < Tokens; t += stride, count++)
        {
            double logit = Logit(query, t);
            sum += logit;
            squares += logit * logit;
        }

        return Math.Sqrt(Math.Max(1e-12, (squares / count) - (sum / count * (sum / count))));
    }

    // Raises the sinks' logits until they hold the head's share beside the other tokens' mass, as sampled.
    private void LookAtSinks(Span<float> query)
    {
        int stride = Math.Max(1, Tokens / Samples);
        double largest = double.NegativeInfinity;
        for (int t = SyntheticHead.Sinks + (stride / 2); t < Tokens; t += stride) largest = Math.Max(largest, Logit(query, t));
        double sum = 0;
        int count = 0;
        for (int t = SyntheticHead.Sinks + (stride / 2); t < Tokens; t += stride, count++) sum += Math.Exp(Logit(query, t) - largest);
        double rest = largest + Math.Log(sum / count * Tokens);
        double wanted = rest + Math.Log(sinkShare / (1 - sinkShare) / SyntheticHead.Sinks);
        double now = 0;
        double gain = 0;
        for (int t = 0; t < SyntheticHead.Sinks; t++)
        {
            now += Logit(query, t) / SyntheticHead.Sinks;
            gain += Logit(head.Sink, t) / SyntheticHead.Sinks;
        }

        float amount = (float)((wanted - now) / gain);
        for (int i = 0; i < dim; i++) query[i] += amount * head.Sink[i];
    }

    // Adds the needle key's own direction until its logit is the margin above the log-sum-exp of all others. Others move along, so the
    // amount is found by Newton's method on the difference, which is concave in the amount.
    private void AskFor(Span<float> query, int token)
    {
        Span<float> direction = fresh;
        keys.AsSpan(first + (token * dim), dim).CopyTo(direction);
        RemoveOffset(direction, token);
        for (int t = 0; t < Tokens; t++)
        {
            logits[t] = Logit(query, t);
            slopes[t] = Logit(direction, t);
        }

        double amount = 0;
        for (int round = 0; round < 12; round++)
        {
            (double others, double slope) = OthersAt(amount, token);
            double missing = others + NeedleMargin - logits[token] - (amount * slopes[token]);
            if (Math.Abs(missing) < 0.01) break;
            amount += missing / (slopes[token] - slope);
        }

        for (int i = 0; i < dim; i++) query[i] += (float)amount * direction[i];
    }

    // Log-sum-exp of the logits of all tokens but one, and how it changes with the amount.
    private (double LogSum, double Slope) OthersAt(double amount, int token)
    {
        double largest = double.NegativeInfinity;
        for (int t = 0; t < Tokens; t++)
        {
            if (t != token) largest = Math.Max(largest, logits[t] + (amount * slopes[t]));
        }

        double sum = 0;
        double moment = 0;
        for (int t = 0; t < Tokens; t++)
        {
            if (t == token) continue;
            double weight = Math.Exp(logits[t] + (amount * slopes[t]) - largest);
            sum += weight;
            moment += weight * slopes[t];
        }

        return (largest + Math.Log(sum), moment / sum);
    }

    // Leaves of a rotated key what sets it apart from others: its offset, rotated alike, is taken off.
    private void RemoveOffset(Span<float> key, int token)
    {
        Span<float> offset = stackalloc float[dim];
        head.Offset.CopyTo(offset);
        rope.Rotate(offset, token);
        for (int i = 0; i < dim; i++) key[i] -= offset[i];
    }

    private float Logit(ReadOnlySpan<float> query, int token)
    {
        ReadOnlySpan<Vector<float>> a = MemoryMarshal.Cast<float, Vector<float>>(query);
        ReadOnlySpan<Vector<float>> b = MemoryMarshal.Cast<float, Vector<float>>(keys.AsSpan(first + (token * dim), dim));
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return Vector.Sum(sum) / MathF.Sqrt(dim);
    }
}
