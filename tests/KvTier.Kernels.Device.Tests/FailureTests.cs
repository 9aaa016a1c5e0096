namespace KvTier.Kernels.Device.Tests;

/// <summary>
/// Wherever a driver fails, the caller gets a typed error, the device says why it failed and refuses everything after, and its end leaves
/// nothing behind. The driver is the real one; chosen operations of it go wrong.
/// </summary>
public sealed class FailureTests : LeakGated
{
    public static TheoryData<DeviceOperation, int, DeviceFault> Faults()
    {
        var faults = new TheoryData<DeviceOperation, int, DeviceFault>();
        foreach (DeviceFault fault in Enum.GetValues<DeviceFault>())
        {
            // In the order of Work: a payload in; score: input, kernel, result; score and top-K: input, three kernels, result; attention:
            // input, two kernels, result; the payload out.
            for (int number = 1; number <= 4; number++) faults.Add(DeviceOperation.CopyIn, number, fault);
            for (int number = 1; number <= 6; number++) faults.Add(DeviceOperation.Launch, number, fault);
            for (int number = 1; number <= 4; number++) faults.Add(DeviceOperation.CopyOut, number, fault);
        }

        return faults;
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public void Work_DriverFails_IsATypedErrorAndEverythingAfterIsUnavailable(DeviceOperation operation, int number, DeviceFault fault)
    {
        (RecallDevice device, FaultyDeviceDriver driver) = Open();
        Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(64 << 10, out DeviceSlot slot));
        driver.Inject(operation, number, fault);
        KvError? error = Work(device, slot);
        Assert.NotNull(error);
        Assert.Equal(fault == DeviceFault.NeverEnds ? ErrorCode.DeadlineExceeded : ErrorCode.Internal, error.Code);
        Assert.Equal(error, device.Fault);
        AssertUnavailable(device, slot, driver);
        device.Free(slot);
        Assert.Equal(0, device.UsedBytes);
        device.Dispose();
        Assert.Equal(0, device.LiveHandles);
    }

    [Fact]
    public void Work_NoFault_EndsAndCountsWhatTheFaultsReach()
    {
        (RecallDevice device, FaultyDeviceDriver driver) = Open();
        using (device)
        {
            Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(64 << 10, out DeviceSlot slot));
            Assert.Null(Work(device, slot));
            Assert.Null(device.Fault);
            Assert.Equal((4, 6, 4), (
                driver.Count(DeviceOperation.CopyIn), driver.Count(DeviceOperation.Launch), driver.Count(DeviceOperation.CopyOut)));
        }

        Assert.Equal(0, device.LiveHandles);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Open_MemoryRefused_IsATypedErrorAndLeavesNothing(int number)
    {
        var driver = new FaultyDeviceDriver(OpenDriver());
        driver.Inject(DeviceOperation.Allocate, number, DeviceFault.Refused);
        Assert.Equal(ErrorCode.Internal, RecallDevice.Open(DeviceFixture.Options, driver).Error!.Code);
        Assert.Equal(0, driver.LiveHandles);
    }

    [Fact]
    public void Launch_ProgramThatDoesNotBuild_IsAnErrorWithTheCompilersWords()
    {
        using IDeviceDriver driver = OpenDriver();
        var launch = new KernelLaunch { Kernel = DeviceKernel.Score, Dtype = (Dtype)77, Groups = 1, GroupSize = 64, Arguments = [] };
        KvError error = driver.Launch(launch).Error!;
        Assert.Equal("device program score.cl", error.Field);
        Assert.Contains("KV_DTYPE is none of these", error.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Launch_TooManyArguments_IsAnErrorAndNoCrash()
    {
        using IDeviceDriver driver = OpenDriver();
        // CUDA is told no count and takes as many as the kernel has.
        if (driver.Info.Api == DeviceApi.Cuda) return;
        var launch = new KernelLaunch
        {
            Kernel = DeviceKernel.Merge,
            Dtype = Dtype.Raw,
            Groups = 1,
            GroupSize = 64,
            Arguments = [1, 2, 3, 4, 5, 6, 7, 8, 9],
        };
        Assert.Equal(ErrorCode.Internal, driver.Launch(launch).Error!.Code);
    }

    [Fact]
    public void Wait_TokenThatEnded_IsAnError()
    {
        using IDeviceDriver driver = OpenDriver();
        Assert.Equal(DeviceWaitStatus.Done, driver.Wait(default, TimeSpan.Zero).Status);
        Assert.Equal(DeviceWaitStatus.Failed, driver.Wait(new DeviceToken(12_345), TimeSpan.Zero).Status);
    }

    [Fact]
    public void Wait_DeadlinePassedOnARealDevice_FailsTheDeviceAndEndsClean()
    {
        // A millisecond is not enough to run this on a CPU; where it is, the request has succeeded and the device has no fault.
        RecallDevice device = RecallDevice.Open(DeviceFixture.Options with { OperationTimeout = TimeSpan.FromMilliseconds(1) }).Value;
        Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(16 << 20, out DeviceSlot slot));
        float[] outputs = new float[8 * 256];
        var batch = new AttendBatch
        {
            Dtype = Dtype.Float8E4M3,
            Dims = 256,
            Scale = 1,
            Queries = outputs,
            Groups = [new AttendGroup(0, 8, 0, 1)],
            Chunks = [new AttendChunk(slot.Offset, slot.Offset, 20_000)],
        };
        KvError? error = device.Attend(batch, outputs, new float[8]);
        Assert.True(error is null || error.Code == ErrorCode.DeadlineExceeded, $"{error}");
        Assert.Equal(error, device.Fault);
        device.Dispose();
        Assert.Equal(0, device.LiveHandles);
    }

    private static IDeviceDriver OpenDriver() => DeviceDrivers.Open(DeviceFixture.Options.Driver, allowCpu: true).Value;

    private static (RecallDevice Device, FaultyDeviceDriver Driver) Open()
    {
        var driver = new FaultyDeviceDriver(OpenDriver());
        return (RecallDevice.Open(DeviceFixture.Options, driver).Value, driver);
    }

    private static KvError? Work(RecallDevice device, DeviceSlot slot)
    {
        if (!device.CopyIn(new byte[slot.Capacity], slot).TryGet(out DeviceCopyTicket ticket, out KvError? error)) return error;
        error = device.Wait(ticket) ?? device.Score(Batch(slot), new float[2 * 100])
            ?? device.ScoreTopK(Batch(slot), ScoreReduction.Max, [new ScoreList(0, 100)], 5, new int[5], []) ?? Attend(device, slot);
        if (error is not null) return error;
        return device.CopyOut(slot, 0, new byte[slot.Capacity]).TryGet(out ticket, out error) ? device.Wait(ticket) : error;
    }

    private static ScoreBatch Batch(DeviceSlot slot) => new()
    {
        Dtype = Dtype.Float32,
        RowLength = 32,
        Queries = 2,
        QueryRows = new float[64],
        Ranges = new[] { new RowRange(slot.Offset, 100) },
    };

    private static KvError? Attend(RecallDevice device, DeviceSlot slot)
    {
        var batch = new AttendBatch
        {
            Dtype = Dtype.Float32,
            Dims = 32,
            Scale = 1,
            Queries = new float[64],
            Groups = [new AttendGroup(0, 2, 0, 1)],
            Chunks = [new AttendChunk(slot.Offset, slot.Offset, 100)],
        };
        return device.Attend(batch, new float[64], new float[2]);
    }

    private static void AssertUnavailable(RecallDevice device, DeviceSlot slot, FaultyDeviceDriver driver)
    {
        int launches = driver.Count(DeviceOperation.Launch);
        Assert.Equal(DeviceAllocation.Unavailable, device.TryAllocate(1, out _));
        Assert.Equal(ErrorCode.Unavailable, device.CopyIn(new byte[1], slot).Error!.Code);
        Assert.Equal(ErrorCode.Unavailable, device.CopyOut(slot, 0, new byte[1]).Error!.Code);
        KvError refused = device.Score(Batch(slot), new float[2 * 100])!;
        Assert.Equal(ErrorCode.Unavailable, refused.Code);
        Assert.Contains(device.Fault!.Field, refused.Value, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.Unavailable, device.TopK(new float[5], [new ScoreList(0, 5)], 1, new int[1], [])!.Code);
        Assert.Equal(ErrorCode.Unavailable, Attend(device, slot)!.Code);
        Assert.Equal(launches, driver.Count(DeviceOperation.Launch));
    }
}
