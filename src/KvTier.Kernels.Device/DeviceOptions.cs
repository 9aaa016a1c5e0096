namespace KvTier.Kernels.Device;

/// <summary>Which driver to take.</summary>
public enum DeviceChoice : byte
{
    /// <summary>CUDA where a device is there, else an OpenCL GPU, else an OpenCL CPU where that is allowed.</summary>
    Auto,

    /// <summary>OpenCL only: a GPU, else a CPU where that is allowed.</summary>
    OpenCl,

    /// <summary>CUDA only.</summary>
    Cuda,

    /// <summary>No device: the host does all.</summary>
    None,
}

/// <summary>How a device is opened.</summary>
public sealed record DeviceOptions
{
    /// <summary>Which driver. Default <see cref="DeviceChoice.Auto"/>.</summary>
    public DeviceChoice Driver { get; init; } = DeviceChoice.Auto;

    /// <summary>True to take an OpenCL CPU device, such as PoCL, where there is no GPU. Default false: the host's own kernels are faster
    /// than OpenCL on the same CPU.</summary>
    public bool AllowCpu { get; init; }

    /// <summary>Device memory that may be taken, slots and scratch together; at least <see cref="ScratchBytes"/> and 1 MiB more.</summary>
    public required long BudgetBytes { get; init; }

    /// <summary>Part of the budget for queries, scores and results of the request that runs. Default 32 MiB; 64 KiB to 1 GiB.</summary>
    public int ScratchBytes { get; init; } = 32 << 20;

    /// <summary>Longest that one request or copy may take before the device counts as failed, the building of its kernels not counted.
    /// Default 10 s; 1 ms to 10 min.</summary>
    public TimeSpan OperationTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest that closing waits for work that was given up, before it leaves the driver's objects to the process. Default 5 s;
    /// 0 to 10 min.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Most copies in flight. Default 256; 1 to 65,536.</summary>
    public int CopiesMax { get; init; } = 256;

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (!Enum.IsDefined(Driver)) return KvError.InvalidArgument("device.driver", Driver, "auto, opencl, cuda or none");
        if (ScratchBytes is < 64 << 10 or > 1 << 30)
            return KvError.InvalidArgument("device.scratchBytes", ScratchBytes, $"{64 << 10} to {1 << 30}");
        if (BudgetBytes < ScratchBytes + (1L << 20))
            return KvError.InvalidArgument("device.budgetBytes", BudgetBytes, $"at least {ScratchBytes + (1L << 20)}, scratch and 1 MiB");
        if (OperationTimeout < TimeSpan.FromMilliseconds(1) || OperationTimeout > TimeSpan.FromMinutes(10))
            return KvError.InvalidArgument("device.operationTimeout", OperationTimeout, "1 ms to 10 min");
        if (CloseTimeout < TimeSpan.Zero || CloseTimeout > TimeSpan.FromMinutes(10))
            return KvError.InvalidArgument("device.closeTimeout", CloseTimeout, "0 to 10 min");
        return CopiesMax is < 1 or > 65_536 ? KvError.InvalidArgument("device.copiesMax", CopiesMax, "1 to 65536") : null;
    }
}
