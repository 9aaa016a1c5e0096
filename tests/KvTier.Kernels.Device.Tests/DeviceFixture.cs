namespace KvTier.Kernels.Device.Tests;

/// <summary>
/// The device that most tests share: a GPU where there is one, else OpenCL on the CPU (PoCL). <c>KVTIER_TEST_DEVICE=opencl|cuda</c> picks
/// the driver, so that both can be tested on one machine. Without any device the tests fail.
/// </summary>
public sealed class DeviceFixture : IDisposable
{
    /// <summary>Building kernels on a busy CPU takes long, as does ending what runs there; nothing here depends on how long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Options of tests, which want a device whatever it is.</summary>
    public static DeviceOptions Options { get; } = new()
    {
        Driver = Enum.Parse<DeviceChoice>(Environment.GetEnvironmentVariable("KVTIER_TEST_DEVICE") ?? "auto", ignoreCase: true),
        AllowCpu = true,
        BudgetBytes = 48 << 20,
        ScratchBytes = 16 << 20,
        OperationTimeout = Patience,
        CloseTimeout = Patience,
    };

    /// <summary>The device.</summary>
    public RecallDevice Device { get; } = RecallDevice.Open(Options).Value;

    /// <inheritdoc/>
    public void Dispose()
    {
        long used = Device.UsedBytes;
        Device.Dispose();
        if (used != 0 || Device.LiveHandles != 0 || Device.Fault?.Code != ErrorCode.ShuttingDown)
            throw new LeakException($"{used} bytes of device memory, {Device.LiveHandles} handles, fault {Device.Fault}");
    }
}
