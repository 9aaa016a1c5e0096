using System.Buffers;
using System.Collections.Concurrent;
using KvTier.Kernels.Device;
using KvTier.Recall;

namespace KvTier.Silo;

/// <summary>A device as the device tier of recall sees it. It owns the device.</summary>
internal sealed class SiloDevice(RecallDevice device) : IRecallDevice, IDisposable
{
    /// <summary>Rows begin at multiples of this many bytes; so do queries' dims come in fours.</summary>
    private const int DimsStep = 4;

    private readonly ConcurrentDictionary<Dtype, Task<KvError?>> kernels = [];

    /// <inheritdoc/>
    public long CapacityBytes => device.CapacityBytes;

    /// <inheritdoc/>
    public KvError? Fault => device.Fault;

    /// <summary>The kernels of a dtype are built beside the requests, which takes seconds; until then the host does the work.</summary>
    public bool Supports(Dtype dtype, int headDim, int queriesPerGroup) =>
        dtype != Dtype.Raw && headDim is >= DimsStep and <= AttendBatch.DimsMax && headDim % DimsStep == 0
        && queriesPerGroup <= AttendBatch.QueriesMax && IsBuilt(dtype);

    /// <inheritdoc/>
    public bool TryAllocate(int bytes, out DevicePlace place)
    {
        bool found = device.TryAllocate(bytes, out DeviceSlot slot) == DeviceAllocation.Allocated;
        place = new DevicePlace(slot.Offset, slot.Capacity);
        return found;
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
        AttendChunk[] chunks = ArrayPool<AttendChunk>.Shared.Rent(batch.Rows.Length);
        AttendGroup[] groups = ArrayPool<AttendGroup>.Shared.Rent(batch.RowCounts.Length);
        for (int i = 0; i < batch.Rows.Length; i++)
            chunks[i] = new AttendChunk(batch.Rows[i].KeyOffset, batch.Rows[i].ValueOffset, batch.Rows[i].Tokens);
        int first = 0;
        for (int g = 0; g < batch.RowCounts.Length; g++)
        {
            groups[g] = new AttendGroup(g * batch.QueriesPerGroup, batch.QueriesPerGroup, first, batch.RowCounts[g]);
            first += batch.RowCounts[g];
        }

        var request = new AttendBatch
        {
            Dtype = batch.Dtype,
            Dims = batch.HeadDim,
            Scale = batch.Scale,
            Queries = batch.Queries,
            Groups = groups.AsSpan(0, batch.RowCounts.Length),
            Chunks = chunks.AsSpan(0, batch.Rows.Length),
        };
        KvError? error = device.Attend(request, outputs, lses);
        ArrayPool<AttendChunk>.Shared.Return(chunks);
        ArrayPool<AttendGroup>.Shared.Return(groups);
        return error;
    }

    /// <inheritdoc/>
    public void Dispose() => device.Dispose();

    private bool IsBuilt(Dtype dtype)
    {
        Task<KvError?> built = kernels.GetOrAdd(dtype, static (wanted, self) => Task.Run(() => self.Prepare(wanted)), device);
        return built.IsCompletedSuccessfully && built.Result is null;
    }

    /// <summary>Opens the device that the options ask for.</summary>
    /// <returns>Null without one; why is logged, and the host does all.</returns>
    internal static SiloDevice? Open(RecallSettings settings, Microsoft.Extensions.Logging.ILogger logger)
    {
        if (settings.DeviceBytes == 0) return null;
        var options = new DeviceOptions
        {
            Driver = Enum.Parse<DeviceChoice>(settings.Device, ignoreCase: true),
            AllowCpu = settings.DeviceAllowCpu,
            BudgetBytes = 0,
        };
        options = options with { BudgetBytes = settings.DeviceBytes + options.ScratchBytes };
        if (RecallDevice.Open(options).TryGet(out RecallDevice? device, out KvError? error))
        {
            logger.DeviceOpened(device.Info.Name, settings.DeviceBytes);
            return new SiloDevice(device);
        }

        logger.DeviceNotOpened(error.Message);
        return null;
    }
}
