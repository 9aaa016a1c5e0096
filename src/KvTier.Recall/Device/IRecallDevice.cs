namespace KvTier.Recall;

/// <summary>A piece of device memory. The default value is none.</summary>
/// <param name="Offset">First byte, a multiple of 16.</param>
/// <param name="Capacity">Bytes.</param>
public readonly record struct DevicePlace(long Offset, int Capacity);

/// <summary>
/// Memory of a device. An error of it is final when <see cref="Fault"/> says so; otherwise that one request was refused. Thread-safe;
/// every call ends by itself in bounded time.
/// </summary>
public interface IDeviceMemory
{
    /// <summary>Bytes that places may take.</summary>
    long CapacityBytes { get; }

    /// <summary>Why the device is of no more use; null while it works.</summary>
    KvError? Fault { get; }

    /// <summary>Finds a place.</summary>
    /// <returns>False when there is no room.</returns>
    bool TryAllocate(int bytes, out DevicePlace place);

    /// <summary>Gives a place back.</summary>
    void Free(DevicePlace place);

    /// <summary>Copies bytes to a place; returns when they are there. After an error the device may yet read the source.</summary>
    /// <returns>Null, or what failed.</returns>
    KvError? Copy(ReadOnlyMemory<byte> source, DevicePlace place);
}

/// <summary>
/// What a device computes over its memory. Thread-safe; every call ends by itself in bounded time; after an error the results mean nothing.
/// </summary>
public interface IDeviceKernels
{
    /// <summary>Most scores that one call of <see cref="Score"/> answers.</summary>
    int ScoresMax { get; }

    /// <summary>True when it can attend to rows of this kind.</summary>
    bool CanAttend(Dtype dtype, int headDim, int queriesPerGroup);

    /// <summary>True when it can score rows of this kind.</summary>
    bool CanScore(Dtype dtype, int rowLength, int queries);

    /// <summary>Attends.</summary>
    /// <param name="batch">Queries and rows.</param>
    /// <param name="outputs">Receives o, normalised, as the queries lie; zero where a group has no rows.</param>
    /// <param name="lses">Receives <c>[groups, QueriesPerGroup]</c>; minus infinity where a group has no rows.</param>
    /// <returns>Null, or what failed.</returns>
    KvError? Attend(in DeviceAttend batch, Span<float> outputs, Span<float> lses);

    /// <summary>Scores rows.</summary>
    /// <param name="batch">Queries and rows.</param>
    /// <param name="scores">Receives <c>[Queries, rows]</c>, the rows in the order of the batch.</param>
    /// <returns>Null, or what failed.</returns>
    KvError? Score(in DeviceScore batch, Span<float> scores);
}

/// <summary>A device of the device tier.</summary>
public interface IRecallDevice : IDeviceMemory, IDeviceKernels;
