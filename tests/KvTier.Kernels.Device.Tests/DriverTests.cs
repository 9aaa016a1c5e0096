using KvTier.Kernels.Device.Cuda;

namespace KvTier.Kernels.Device.Tests;

public sealed class DriverTests(DeviceFixture fixture) : LeakGated
{
    [Fact]
    public void Open_None_IsUnsupported() =>
        Assert.Equal(ErrorCode.Unsupported, DeviceDrivers.Open(DeviceChoice.None, allowCpu: true).Error!.Code);

    [Theory]
    [InlineData(DeviceChoice.Auto, "cuda: ", "opencl: ")]
    [InlineData(DeviceChoice.Cuda, "cuda: ", "")]
    [InlineData(DeviceChoice.OpenCl, "opencl: ", "")]
    public void Open_WithoutCpuDevices_GivesAGpuOrSaysWhatWasTried(DeviceChoice choice, string first, string second)
    {
        if (DeviceDrivers.Open(choice, allowCpu: false).TryGet(out IDeviceDriver? driver, out KvError? error))
        {
            Assert.True(driver.Info.IsGpu);
            driver.Dispose();
            Assert.Equal(0, driver.LiveHandles);
            return;
        }

        Assert.Equal(ErrorCode.Unavailable, error.Code);
        Assert.Equal(choice.ToString(), error.Value, ignoreCase: true);
        Assert.Contains(first, error.Limit, StringComparison.Ordinal);
        Assert.Contains(second, error.Limit, StringComparison.Ordinal);
    }

    [Fact]
    public void TryLoad_LibraryThatIsNotThere_IsNoCrash()
    {
        Assert.Equal(0, NativeLibraryLoader.TryLoad(["libkvtier-is-not-there.so.1"]));
        nint library = NativeLibraryLoader.TryLoad(["libkvtier-is-not-there.so.1", "libc.so.6"]);
        Assert.NotEqual(0, library);
        nint[] found = new nint[2];
        Assert.Equal("no_such_function", NativeLibraryLoader.FindAll(library, ["getpid", "no_such_function"], found));
        Assert.Null(NativeLibraryLoader.FindAll(library, ["getpid", "getppid"], found));
        Assert.DoesNotContain(0, found);
    }

    [Fact]
    public void NvrtcCandidates_AreSeveralSonames()
    {
        Assert.Contains("libnvrtc.so.13", NvrtcApi.Candidates());
        Assert.Contains("libnvrtc.so.12", NvrtcApi.Candidates());
        Assert.Contains("libnvrtc.so.11.2", NvrtcApi.Candidates());
    }

    [Fact]
    public void Open_Device_TellsWhatItIs()
    {
        DeviceInfo info = fixture.Device.Info;
        Assert.NotEmpty(info.Name);
        Assert.NotEmpty(info.DriverVersion);
        Assert.True(info.ComputeUnits > 0);
        Assert.True(info.BufferBytesMax > 0 && info.BufferBytesMax <= info.MemoryBytes);
    }

    [Fact]
    public void Dispose_DeviceThatWorked_LeavesNoHandle()
    {
        RecallDevice device = RecallDevice.Open(DeviceFixture.Options).Value;
        using (DeviceRows rows = DeviceRows.Random(device, Dtype.Float32, 100, 32, new Random(1)))
        {
            // A copy that nobody waits for.
            Assert.True(device.CopyIn(new byte[100], rows.Slot).IsOk);
            Assert.Null(device.Prepare(Dtype.Float32));
            Assert.True(device.LiveHandles >= 5);
        }

        device.Dispose();
        device.Dispose();
        Assert.Equal(0, device.LiveHandles);
        Assert.Equal(ErrorCode.Unavailable, device.Prepare(Dtype.Float32)!.Code);
        Assert.Equal(DeviceAllocation.Unavailable, device.TryAllocate(1, out _));
        Assert.Equal(ErrorCode.Unavailable, device.CopyIn(new byte[1], new DeviceSlot(0, 512)).Error!.Code);
    }

    [Fact]
    public void Open_BadOptions_AreRefusedByName()
    {
        DeviceOptions good = DeviceFixture.Options;
        foreach ((DeviceOptions options, string field) in (ReadOnlySpan<(DeviceOptions, string)>)
        [
            (good with { Driver = (DeviceChoice)9 }, "device.driver"),
            (good with { ScratchBytes = 1000 }, "device.scratchBytes"),
            (good with { BudgetBytes = good.ScratchBytes + (1 << 20) - 1 }, "device.budgetBytes"),
            (good with { BudgetBytes = 1L << 60 }, "device.budgetBytes"),
            (good with { OperationTimeout = TimeSpan.Zero }, "device.operationTimeout"),
            (good with { CloseTimeout = TimeSpan.FromTicks(-1) }, "device.closeTimeout"),
            (good with { CopiesMax = 0 }, "device.copiesMax"),
        ])
            Assert.Equal(field, RecallDevice.Open(options).Error!.Field);
    }
}
