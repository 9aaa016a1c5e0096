using KvTier.Kernels.Device;

namespace KvTier.Cli;

/// <summary>Scoring on a device by OpenCL, which without a GPU is the processor (PoCL), against the host's own kernel in the same
/// run.</summary>
internal sealed class DeviceBench : IBenchGroup
{
    private const int Group = RecallArrays.QueryHeads / RecallArrays.KvHeads;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["score_device_pocl"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        int rows = context.Settings.ScoreBytes / 4 / (RecallArrays.HeadDim * sizeof(ushort));
        var options = new DeviceOptions { Driver = DeviceChoice.OpenCl, AllowCpu = true, BudgetBytes = context.Settings.ScoreBytes };
        if (!DeviceScoreWorkload.Open(options, Dtype.Float16, rows, RecallArrays.HeadDim, Group, seed: 1)
            .TryGet(out DeviceScoreWorkload? work, out KvError? error))
        {
            return [BenchRow.Rate(Names[0], 0, "GB/s", "host kernel", null, null, error.Message)];
        }

        using (work)
        {
            byte[] host = RecallArrays.Halves(new float[rows * RecallArrays.HeadDim]);
            double[] rates = await context.MedianRatesAsync(
                time => ClosedLoop.RunOnThreadsAsync(1, time, (_, _) => work.Run().OrFail()),
                time => KernelBench.ScanAsync(time, host.Length, RecallArrays.HeadDim, host));
            string note = $"{work.Info.Name}; {Units.Bytes(work.BytesPerRun)} of digests, {Group} query heads each; the scores come back";
            return [BenchRow.Rate(Names[0], rates[0] * work.BytesPerRun / 1e9, "GB/s", "host kernel", rates[1] / 1e9, null, note)];
        }
    }
}
