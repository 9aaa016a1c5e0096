using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device;

/// <summary>
/// Rows on a device and queries to score them against, for benchmarks: made once, then run as often as the benchmark likes.
/// </summary>
public sealed class DeviceScoreWorkload : IDisposable
{
    private const int SlotBytesMax = 32 << 20;

    private readonly RecallDevice device;
    private readonly List<DeviceSlot> slots = [];
    private readonly List<RowRange> ranges = [];
    private readonly RowRange[] all;
    private readonly float[] queries;
    private readonly float[] scores;
    private readonly Dtype dtype;
    private readonly int rowLength;

    private DeviceScoreWorkload(RecallDevice device, Dtype dtype, int rows, int rowLength, int queryCount, int seed)
    {
        this.device = device;
        this.dtype = dtype;
        this.rowLength = rowLength;
        var random = new Random(seed);
        queries = [.. Enumerable.Range(0, queryCount * rowLength).Select(_ => (random.NextSingle() * 2) - 1)];
        scores = new float[queryCount * rows];
        BytesPerRun = (long)rows * rowLength * dtype.SizeBytes();
        Error = Fill(rows, random);
        all = [.. ranges];
    }

    /// <summary>What device it runs on.</summary>
    public DeviceInfo Info => device.Info;

    /// <summary>Bytes of rows that one run reads.</summary>
    public long BytesPerRun { get; }

    private KvError? Error { get; }

    /// <summary>Opens a device, fills it with rows and builds the kernel.</summary>
    /// <param name="options">The device; its budget is set to what the rows need.</param>
    /// <param name="dtype">Dtype of the rows.</param>
    /// <param name="rows">Rows, at least 1.</param>
    /// <param name="rowLength">Elements of a row, a multiple of 16 at most <see cref="ScoreBatch.RowLengthMax"/>.</param>
    /// <param name="queryCount">Queries, 1 to <see cref="ScoreBatch.QueriesMax"/>.</param>
    /// <param name="seed">Seed of rows and queries.</param>
    /// <returns>The workload, or why there is none.</returns>
    public static Result<DeviceScoreWorkload> Open(DeviceOptions options, Dtype dtype, int rows, int rowLength, int queryCount, int seed)
    {
        if (rows < 1) return KvError.InvalidArgument("rows", rows, "at least 1");
        if (rowLength is < 16 or > ScoreBatch.RowLengthMax || rowLength % 16 != 0)
            return KvError.InvalidArgument("rowLength", rowLength, $"a multiple of 16, at most {ScoreBatch.RowLengthMax}");
        long bytes = (long)rows * rowLength * dtype.SizeBytes();
        // Slots are rounded up to extents, and the last one may be short.
        options = options with { BudgetBytes = options.ScratchBytes + bytes + (bytes / 8) + (4 << 20) };
        if (!RecallDevice.Open(options).TryGet(out RecallDevice? device, out KvError? error)) return error;
        var workload = new DeviceScoreWorkload(device, dtype, rows, rowLength, queryCount, seed);
        error = workload.Error ?? workload.Run();
        if (error is null) return workload;
        workload.Dispose();
        return error;
    }

    /// <summary>Scores all rows against all queries once; the scores come back to the host.</summary>
    /// <returns>Null, or what failed.</returns>
    public KvError? Run()
    {
        var batch = new ScoreBatch
        {
            Dtype = dtype,
            RowLength = rowLength,
            Queries = queries.Length / rowLength,
            QueryRows = queries,
            Ranges = all,
        };
        return device.Score(batch, scores);
    }

    /// <summary>Closes the device.</summary>
    public void Dispose()
    {
        foreach (DeviceSlot slot in slots) device.Free(slot);
        slots.Clear();
        device.Dispose();
    }

    private KvError? Fill(int rows, Random random)
    {
        int rowBytes = rowLength * dtype.SizeBytes();
        int rowsPerSlot = Math.Max(1, SlotBytesMax / rowBytes);
        for (int first = 0; first < rows; first += rowsPerSlot)
        {
            int count = Math.Min(rowsPerSlot, rows - first);
            byte[] bytes = new byte[count * rowBytes];
            FillRows(bytes, random);
            if (device.TryAllocate(bytes.Length, out DeviceSlot slot) != DeviceAllocation.Allocated)
                return device.Fault ?? KvError.LimitExceeded("device.budgetBytes", bytes.Length, device.CapacityBytes);
            slots.Add(slot);
            ranges.Add(new RowRange(slot.Offset, count));
            if (!device.CopyIn(bytes, slot).TryGet(out DeviceCopyTicket ticket, out KvError? error)) return error;
            if (device.Wait(ticket) is { } failed) return failed;
        }

        return null;
    }

    /// <summary>Numbers between -1 and 1 in the dtypes that have a scale of their own, any byte in the others.</summary>
    private void FillRows(byte[] bytes, Random random)
    {
        switch (dtype)
        {
            case Dtype.Float32:
                foreach (ref float number in MemoryMarshal.Cast<byte, float>(bytes.AsSpan())) number = (random.NextSingle() * 2) - 1;
                break;
            case Dtype.Float16:
                foreach (ref Half number in MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())) number = (Half)((random.NextSingle() * 2) - 1);
                break;
            case Dtype.BFloat16:
                foreach (ref ushort number in MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan()))
                    number = (ushort)(BitConverter.SingleToUInt32Bits((random.NextSingle() * 2) - 1) >> 16);
                break;
            default:
                // No byte below 0x70 is a NaN or an infinity in either FP8.
                random.NextBytes(bytes);
                foreach (ref byte number in bytes.AsSpan()) number = (byte)(number & 0x8f);
                break;
        }
    }
}
