namespace KvTier.Cli;

/// <summary>What stands at each token of a synthetic sequence: segments that each keep to a topic, and words that recur.</summary>
internal sealed class SyntheticText
{
    /// <summary>Topics; segments come back to them.</summary>
    public const int Topics = 48;

    /// <summary>Distinct words.</summary>
    public const int Words = 2048;

    private const int SegmentMin = 32;
    private const double SegmentMean = 384;

    /// <summary>Writes a text.</summary>
    public SyntheticText(int tokens, SyntheticRandom random)
    {
        TopicOf = new int[tokens];
        WordOf = new int[tokens];
        int[][] orders = [.. Enumerable.Range(0, Topics).Select(_ => Shuffled(random))];
        double[] cumulative = Zipf();
        for (int start = 0; start < tokens;)
        {
            int topic = random.NextInt(Topics);
            int end = (int)Math.Min(tokens, start + SegmentMin + (long)random.NextExponential(SegmentMean));
            for (int t = start; t < end; t++)
            {
                int rank = Draw(cumulative, random.NextDouble());
                TopicOf[t] = topic;

                // Half of a segment's words are those its topic favours, half those that any text has.
                WordOf[t] = random.NextDouble() < 0.5 ? orders[topic][rank] : rank;
            }

            start = end;
        }
    }

    /// <summary>The topic at each token.</summary>
    public int[] TopicOf { get; }

    /// <summary>The word at each token.</summary>
    public int[] WordOf { get; }

    private static int Draw(double[] cumulative, double uniform)
    {
        int found = Array.BinarySearch(cumulative, uniform);
        return Math.Min(found < 0 ? ~found : found + 1, cumulative.Length - 1);
    }

    // Zipf's law: the word of rank r comes 1/r as often as the first.
    private static double[] Zipf()
    {
        var cumulative = new double[Words];
        double sum = 0;
        for (int i = 0; i < Words; i++) cumulative[i] = sum += 1.0 / (i + 1);
        for (int i = 0; i < Words; i++) cumulative[i] /= sum;
        return cumulative;
    }

    private static int[] Shuffled(SyntheticRandom random)
    {
        int[] order = [.. Enumerable.Range(0, Words)];
        for (int i = Words - 1; i > 0; i--)
        {
            int j = random.NextInt(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
