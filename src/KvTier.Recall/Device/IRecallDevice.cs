namespace KvTier.Recall;

/// <summary>A piece of device memory. The default value is none.</summary>
/// <param name="Offset">First byte, a multiple of 16.</param>
/// <param name="Capacity">Bytes.</param>
public readonly record struct DevicePlace(long Offset, int Capacity);

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

/// <summary>
/// The device tier's view of a device. An error of it is final when <see cref="Fault"/> says so; otherwise that one request was refused.
/// Thread-safe; every call ends by itself in bounded time.
/// </summary>
public interface IRecallDevice
{
    /// <summary>Bytes that places may take.</summary>
    long CapacityBytes { get; }

    /// <summary>Why the device is of no more use; null while it works.</summary>
    KvError? Fault { get; }

    /// <summary>True when it can attend to rows of this kind.</summary>
    bool Supports(Dtype dtype, int headDim, int queriesPerGroup);

    /// <summary>Finds a place.</summary>
    /// <returns>False when there is no room.</returns>
    bool TryAllocate(int bytes, out DevicePlace place);

    /// <summary>Gives a place back.</summary>
    void Free(DevicePlace place);

    /// <summary>Copies bytes to a place; returns when they are there.</summary>
    /// <returns>Null, or what failed.</returns>
    KvError? Copy(ReadOnlyMemory<byte> source, DevicePlace place);

    /// <summary>Attends.</summary>
    /// <param name="batch">Queries and rows.</param>
    /// <param name="outputs">Receives o, normalised, as the queries lie; zero where a group has no rows.</param>
    /// <param name="lses">Receives <c>[groups, QueriesPerGroup]</c>; minus infinity where a group has no rows.</param>
    /// <returns>Null, or what failed; then the results mean nothing.</returns>
    KvError? Attend(in DeviceAttend batch, Span<float> outputs, Span<float> lses);
}
