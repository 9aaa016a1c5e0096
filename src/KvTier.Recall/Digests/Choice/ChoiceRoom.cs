namespace KvTier.Recall;

/// <summary>Room in which units are chosen; kept with a thread's score table.</summary>
internal sealed class ChoiceRoom
{
    private int[] order = [];
    private int[] chosen = [];
    private byte[] marks = [];
    private float[] numbers = [];
    private float[] queries = [];

    /// <summary>Units chosen so far, the first <see cref="Count"/> of the room.</summary>
    internal ReadOnlySpan<int> Chosen => chosen.AsSpan(0, Count);

    /// <summary>Units chosen.</summary>
    internal int Count { get; private set; }

    /// <summary>Forgets what was chosen and makes room.</summary>
    internal void Begin(int units)
    {
        Count = 0;
        if (chosen.Length < units) chosen = new int[Math.Max(units, 2 * chosen.Length)];
    }

    /// <summary>Adds a unit.</summary>
    internal void Add(int unit) => chosen[Count++] = unit;

    /// <summary>Room for an order of units.</summary>
    internal Span<int> Order(int length)
    {
        if (order.Length < length) order = new int[Math.Max(length, 2 * order.Length)];
        return order.AsSpan(0, length);
    }

    /// <summary>A mark for each token, none set.</summary>
    internal Span<byte> Marks(int tokens)
    {
        if (marks.Length < tokens) marks = new byte[Math.Max(tokens, 2 * marks.Length)];
        marks.AsSpan(0, tokens).Clear();
        return marks.AsSpan(0, tokens);
    }

    /// <summary>Room for numbers that are void at the next call.</summary>
    internal Span<float> Numbers(int length)
    {
        if (numbers.Length < length) numbers = new float[Math.Max(length, 2 * numbers.Length)];
        return numbers.AsSpan(0, length);
    }

    /// <summary>Room for a KV head's queries.</summary>
    internal Span<float> Queries(int length)
    {
        if (queries.Length < length) queries = new float[Math.Max(length, 2 * queries.Length)];
        return queries.AsSpan(0, length);
    }
}
