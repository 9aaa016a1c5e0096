using System.Buffers;
using System.Collections.Concurrent;
using KvTier.Kernels.Device;
using KvTier.Recall;

namespace KvTier.Silo.Devices;

/// <summary>A device as recall sees it. The device is not owned.</summary>
/// <param name="device">The device.</param>
/// <param name="onNotBuilt">Called when kernels can't be built, from any thread; the device has failed then.</param>
internal sealed class RecallDeviceAdapter(RecallDevice device, Action<KvError> onNotBuilt) : IRecallDevice
{
    /// <summary>Longest that <see cref="StopAsync"/> waits.</summary>
    private static readonly TimeSpan stopTimeout = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<Dtype, Task<bool>> kernels = [];

    /// <summary>Largest slot that a device has.</summary>
    private const int SlotBytesMax = 64 << 20;

    /// <inheritdoc/>
    public long CapacityBytes => device.CapacityBytes;

    /// <summary>Half of scratch; the rest is for queries and ranges.</summary>
    public int ScoresMax { get; } = (int)Math.Min(device.BudgetBytes - device.CapacityBytes, int.MaxValue) / (2 * sizeof(float));

    /// <inheritdoc/>
    public KvError? Fault => device.Fault;

    /// <summary>True for what the kernels can do. Those of a dtype are built beside the requests, which takes seconds; until then the host
    /// does the work.</summary>
    public bool CanAttend(Dtype dtype, int headDim, int queriesPerGroup) =>
        dtype is >= Dtype.Float32 and <= Dtype.Int8 && headDim is >= 4 and <= AttendBatch.DimsMax && headDim % 4 == 0
        && queriesPerGroup is >= 1 and <= AttendBatch.QueriesMax && IsBuilt(dtype);

    /// <inheritdoc/>
    public bool CanScore(Dtype dtype, int rowLength, int queries) =>
        dtype is >= Dtype.Float32 and <= Dtype.Int8 && rowLength is >= 4 and <= ScoreBatch.RowLengthMax && rowLength % 4 == 0
        && queries is >= 1 and <= ScoreBatch.QueriesMax && IsBuilt(dtype);

    /// <inheritdoc/>
    public bool TryAllocate(int bytes, out DevicePlace place)
    {
        place = default;
        if (bytes is < 1 or > SlotBytesMax || device.TryAllocate(bytes, out DeviceSlot slot) != DeviceAllocation.Allocated) return false;
        place = new DevicePlace(slot.Offset, slot.Capacity);
        return true;
    }

    /// <inheritdoc/>
    public void Free(DevicePlace place) => device.Free(new DeviceSlot(place.Offset, place.Capacity));

    /// <inheritdoc/>
    public KvError? Copy(ReadOnlyMemory<byte> source, DevicePlace place) =>
        device.CopyIn(source, new DeviceSlot(place.Offset, place.Capacity)).TryGet(out DeviceCopyTicket ticket, out KvError? error)
            ? device.Wait(ticket)
            : error;

    /// <inheritdoc/>
    public KvError? Attend(in DeviceAttend batch, Span<float> outputs, Span<float> lses)
    {
        AttendGroup[] groups = ArrayPool<AttendGroup>.Shared.Rent(batch.RowCounts.Length);
        AttendChunk[] chunks = ArrayPool<AttendChunk>.Shared.Rent(batch.Rows.Length);
        int first = 0;
        for (int g = 0; g < batch.RowCounts.Length; g++)
        {
            groups[g] = new AttendGroup(g * batch.QueriesPerGroup, batch.QueriesPerGroup, first, batch.RowCounts[g]);
            first += batch.RowCounts[g];
        }

        for (int i = 0; i < batch.Rows.Length; i++)
            chunks[i] = new AttendChunk(batch.Rows[i].KeyOffset, batch.Rows[i].ValueOffset, batch.Rows[i].Tokens);
        var work = new AttendBatch
        {
            Dtype = batch.Dtype,
            Dims = batch.HeadDim,
            Scale = batch.Scale,
            Queries = batch.Queries,
            Groups = groups.AsSpan(0, batch.RowCounts.Length),
            Chunks = chunks.AsSpan(0, batch.Rows.Length),
        };
        KvError? error = device.Attend(work, outputs, lses);
        ArrayPool<AttendGroup>.Shared.Return(groups);
        ArrayPool<AttendChunk>.Shared.Return(chunks);
        return error;
    }

    /// <inheritdoc/>
    public KvError? Score(in DeviceScore batch, Span<float> scores)
    {
        RowRange[] ranges = ArrayPool<RowRange>.Shared.Rent(batch.Ranges.Length);
        for (int i = 0; i < batch.Ranges.Length; i++)
        {
            DeviceRange range = batch.Ranges[i];
            ranges[i] = new RowRange(range.Offset, range.Rows, range.FirstQuery, range.ScaleOffset);
        }

        var work = new ScoreBatch
        {
            Dtype = batch.Dtype,
            RowLength = batch.RowLength,
            Queries = batch.Queries,
            QueryRows = batch.QueryRows,
            Ranges = ranges.AsSpan(0, batch.Ranges.Length),
        };
        KvError? error = device.Score(work, scores);
        ArrayPool<RowRange>.Shared.Return(ranges);
        return error;
    }

    /// <summary>Waits until no kernels are being built, so that the device can be closed.</summary>
    public Task StopAsync() => Task.WhenAny(Task.WhenAll(kernels.Values), Task.Delay(stopTimeout));

    private bool IsBuilt(Dtype dtype) =>
        kernels.GetOrAdd(dtype, static (wanted, self) => Task.Run(() => self.Build(wanted)), this)
            is { IsCompletedSuccessfully: true, Result: true };

    private bool Build(Dtype dtype)
    {
        KvError? error = device.Prepare(dtype);
        if (error is not null && Fault is not null) onNotBuilt(error);
        return error is null;
    }
}
