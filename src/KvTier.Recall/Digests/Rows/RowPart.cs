namespace KvTier.Recall;

/// <summary>The rows that may stand for a chunk. A digest keeps some of them.</summary>
internal enum RowPart
{
    /// <summary>What is scored first: means <c>[D]</c>, or bounds <c>[max | min]</c> of 2D.</summary>
    Main,

    /// <summary>Deviation of every channel from the mean, <c>[D]</c>: the root of the variance (what the directions leave of
    /// it).</summary>
    Sigma,

    /// <summary>Mean of the values, <c>[D]</c>.</summary>
    Value,

    /// <summary>Bounds of the keys <c>[max | min]</c> of 2D, beside moments.</summary>
    Bounds,

    /// <summary>Bounds of what the chunks below a node are scored by, <c>[max | min]</c> of 2D; one row a node.</summary>
    Nodes,

    /// <summary>The keys' main direction, as long as their deviation along it, <c>[D]</c>. Up to three more directions follow it, each a
    /// part of its own.</summary>
    Direction,

    /// <summary>The key farthest from the mean, <c>[D]</c>. Up to three more follow it, each a part of its own.</summary>
    PeakKey = Direction + 4,

    /// <summary>Its value, <c>[D]</c>; then those of the other peaks.</summary>
    PeakValue = PeakKey + 4,
}
