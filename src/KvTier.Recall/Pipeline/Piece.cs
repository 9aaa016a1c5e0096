namespace KvTier.Recall;

/// <summary>Rows of consecutive tokens of one KV head that lie together.</summary>
internal struct Piece
{
    /// <summary>The first token, counted in the sequence.</summary>
    internal long FirstToken;

    /// <summary>How many.</summary>
    internal int Tokens;

    /// <summary>The source that has them, for a block that is read whole.</summary>
    internal int Source;

    /// <summary>The read that has them; -1 for a block that is read whole.</summary>
    internal int Read;

    /// <summary>Key rows; empty when they could not be read.</summary>
    internal Memory<byte> Keys;

    /// <summary>Value rows; the same as the keys for MLA.</summary>
    internal Memory<byte> Values;

    /// <summary>True when the rows are there.</summary>
    internal readonly bool IsThere => !Keys.IsEmpty;
}

/// <summary>A list whose room is kept from run to run, with elements that are changed in place.</summary>
/// <typeparam name="T">Type of the elements.</typeparam>
internal sealed class RunList<T>
    where T : struct
{
    private T[] items = new T[16];

    /// <summary>Elements.</summary>
    internal int Count { get; private set; }

    /// <summary>All elements.</summary>
    internal Span<T> Span => items.AsSpan(0, Count);

    /// <summary>All elements, for calls that keep them.</summary>
    internal Memory<T> Memory => items.AsMemory(0, Count);

    /// <summary>An element.</summary>
    internal ref T this[int index] => ref items[index];

    /// <summary>Adds an element.</summary>
    /// <returns>It, in place.</returns>
    internal ref T Add()
    {
        if (Count == items.Length) Array.Resize(ref items, 2 * Count);
        ref T added = ref items[Count++];
        added = default;
        return ref added;
    }

    /// <summary>Forgets the elements, keeps the room.</summary>
    internal void Clear()
    {
        Span.Clear();
        Count = 0;
    }
}
