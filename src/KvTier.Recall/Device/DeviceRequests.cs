namespace KvTier.Recall;

/// <summary>Rows of one KV head in device memory, one token after the other.</summary>
/// <param name="KeyOffset">First byte of the keys, a multiple of 16.</param>
/// <param name="ValueOffset">First byte of the values, a multiple of 16.</param>
/// <param name="Tokens">How many.</param>
public readonly record struct DeviceRows(long KeyOffset, long ValueOffset, int Tokens);

/// <summary>Partial attention of several KV heads over rows in device memory.</summary>
public readonly ref struct DeviceAttend
{
    /// <summary>Element type of keys and values.</summary>
    public required Dtype Dtype { get; init; }

    /// <summary>Elements of a row (D).</summary>
    public required int HeadDim { get; init; }

    /// <summary>Factor of q·k: 1 / (√D · temperature).</summary>
    public required float Scale { get; init; }

    /// <summary>Queries of every group, fp32 <c>[groups, QueriesPerGroup, D]</c>.</summary>
    public required ReadOnlySpan<float> Queries { get; init; }

    /// <summary>Queries of a group, which attend to the same rows.</summary>
    public required int QueriesPerGroup { get; init; }

    /// <summary>For each group how many of <see cref="Rows"/> it attends to; they are one group's after the other's.</summary>
    public required ReadOnlySpan<int> RowCounts { get; init; }

    /// <summary>The rows.</summary>
    public required ReadOnlySpan<DeviceRows> Rows { get; init; }
}

/// <summary>Digest rows in device memory, one after the other.</summary>
/// <param name="Offset">First byte, a multiple of 16.</param>
/// <param name="Rows">How many.</param>
/// <param name="FirstQuery">First of the queries that they are scored against.</param>
/// <param name="ScaleOffset">First byte of their scales, fp32, a multiple of 4; -1 for none.</param>
public readonly record struct DeviceRange(long Offset, int Rows, int FirstQuery, long ScaleOffset);

/// <summary>Dot products of rows in device memory with queries, times the row's scale where there is one.</summary>
public readonly ref struct DeviceScore
{
    /// <summary>Element type of the rows.</summary>
    public required Dtype Dtype { get; init; }

    /// <summary>Elements of a row and of a query.</summary>
    public required int RowLength { get; init; }

    /// <summary>Queries that each row is scored against.</summary>
    public required int Queries { get; init; }

    /// <summary>All queries, fp32 <c>[n, RowLength]</c>.</summary>
    public required ReadOnlySpan<float> QueryRows { get; init; }

    /// <summary>The rows.</summary>
    public required ReadOnlySpan<DeviceRange> Ranges { get; init; }
}
