using KvTier.Kernels.Device;

namespace KvTier.Silo;

/// <summary>The device tier: which GPU, and how much of its memory.</summary>
public sealed record DeviceSettings
{
    /// <summary>Allowed values of <see cref="Driver"/>.</summary>
    internal static readonly string[] Drivers = ["none", "auto", "opencl", "cuda"];

    /// <summary>Least memory beside scratch.</summary>
    private const long LeastSlotBytes = 1 << 20;

    /// <summary>
    /// Which device: <c>none</c>; <c>auto</c>, a GPU where there is one and none where there isn't; <c>opencl</c>, a GPU, else a CPU such
    /// as PoCL; <c>cuda</c>. With the last two the silo does not start without one. Default <c>none</c>, as the GPU of a machine that runs
    /// inference is somebody else's.
    /// </summary>
    public string Driver { get; init; } = "none";

    /// <summary>Device memory that is taken at start, scratch included. Default 1 GiB.</summary>
    public long Bytes { get; init; } = 1L << 30;

    /// <summary>Part of it for queries and results of the request that runs; the host has as much for it. Default 32 MiB.</summary>
    public int ScratchBytes { get; init; } = 32 << 20;

    /// <summary>Longest that one request or copy may take before the device counts as failed, in ms. Default 10,000.</summary>
    public int TimeoutMs { get; init; } = 10_000;

    /// <summary>True to take a CPU with <c>auto</c> too; not an option of the command line or a file. Default false.</summary>
    public bool AllowCpu { get; init; }

    /// <summary>True when there may be a device.</summary>
    internal bool IsWanted => Driver != "none";

    /// <summary>True when the silo must not start without one.</summary>
    internal bool IsDemanded => Driver is "opencl" or "cuda";

    /// <summary>Checks what must agree.</summary>
    internal KvError? Validate() => IsWanted && Bytes < ScratchBytes + LeastSlotBytes
        ? KvError.InvalidArgument("device.bytes", Bytes, $"device.scratchBytes and 1 MiB: {ScratchBytes + LeastSlotBytes} or more")
        : null;

    /// <summary>What the device is opened with.</summary>
    internal DeviceOptions ToDeviceOptions() => new()
    {
        Driver = Driver switch
        {
            "auto" => DeviceChoice.Auto,
            "opencl" => DeviceChoice.OpenCl,
            "cuda" => DeviceChoice.Cuda,
            _ => DeviceChoice.None,
        },
        AllowCpu = AllowCpu || Driver == "opencl",
        BudgetBytes = Bytes,
        ScratchBytes = ScratchBytes,
        OperationTimeout = TimeSpan.FromMilliseconds(TimeoutMs),
    };
}
