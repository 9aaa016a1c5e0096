namespace KvTier.Kernels.Device.Tests;

public sealed class DeviceMemoryTests(DeviceFixture fixture) : LeakGated
{
    protected override IReadOnlyList<(string Name, long Count)> LeakCounts =>
        [("device bytes", fixture.Device.UsedBytes), ("copies", fixture.Device.CopiesInFlight)];

    private RecallDevice Device => fixture.Device;

    [Fact]
    public void TryAllocate_UntilFull_StaysInTheBudgetAndGivesAllBack()
    {
        Assert.True(Device.CapacityBytes <= Device.BudgetBytes - DeviceFixture.Options.ScratchBytes);
        Assert.True(Device.CapacityBytes > Device.BudgetBytes - DeviceFixture.Options.ScratchBytes - (256 << 10));
        var random = new Random(1);
        var slots = new List<DeviceSlot>();
        long bytes = 0;
        while (Device.TryAllocate(random.Next(1, 3 << 20), out DeviceSlot slot) == DeviceAllocation.Allocated)
        {
            long end = slot.Offset + slot.Capacity;
            Assert.All(slots, other => Assert.True(other.Offset + other.Capacity <= slot.Offset || end <= other.Offset));
            Assert.True(slot.Offset >= 0 && slot.Offset + slot.Capacity <= Device.CapacityBytes && slot.Offset % 512 == 0);
            slots.Add(slot);
            bytes += slot.Capacity;
            Assert.Equal(bytes, Device.UsedBytes);
        }

        Assert.True(bytes > Device.CapacityBytes - (3 << 20), $"full at {bytes}");
        Assert.Equal(DeviceAllocation.DeviceFull, Device.TryAllocate(64 << 20, out _));
        Assert.Null(Device.Fault);
        foreach (DeviceSlot slot in slots) Device.Free(slot);
        Assert.Throws<ArgumentException>(() => Device.Free(slots[0]));
        Assert.Equal(DeviceAllocation.Allocated, Device.TryAllocate((int)Device.CapacityBytes, out DeviceSlot whole));
        Assert.Equal(DeviceAllocation.DeviceFull, Device.TryAllocate(1, out _));
        Device.Free(whole);
    }

    [Fact]
    public void Copies_ManyInFlight_BringBackWhatWentIn()
    {
        var random = new Random(2);
        const int Slots = 40;
        var slots = new DeviceSlot[Slots];
        var tickets = new DeviceCopyTicket[Slots];
        byte[][] sources = [.. Enumerable.Range(0, Slots).Select(i => new byte[random.Next(1, 100_000)])];
        for (int i = 0; i < Slots; i++)
        {
            random.NextBytes(sources[i]);
            Assert.Equal(DeviceAllocation.Allocated, Device.TryAllocate(sources[i].Length + 100, out slots[i]));
            tickets[i] = Device.CopyIn(sources[i], slots[i], i).Value;
        }

        Assert.Equal(Slots, Device.CopiesInFlight);
        // The last first: waits need not follow the order of the copies.
        foreach (DeviceCopyTicket ticket in tickets.Reverse()) Assert.Null(Device.Wait(ticket));
        byte[][] back = [.. sources.Select(source => new byte[source.Length])];
        for (int i = 0; i < Slots; i++) tickets[i] = Device.CopyOut(slots[i], i, back[i]).Value;
        for (int i = 0; i < Slots; i++)
        {
            Assert.Null(Device.Wait(tickets[i]));
            Assert.Equal(sources[i], back[i]);
            Device.Free(slots[i]);
        }
    }

    [Fact]
    public void IsDone_CopyThatEnded_StaysTrueUntilWaitedFor()
    {
        Assert.Equal(DeviceAllocation.Allocated, Device.TryAllocate(1000, out DeviceSlot slot));
        DeviceCopyTicket ticket = Device.CopyIn(new byte[1000], slot).Value;
        Assert.True(SpinWait.SpinUntil(() => Device.IsDone(ticket), DeviceFixture.Options.OperationTimeout));
        Assert.True(Device.IsDone(ticket));
        Assert.Equal(1, Device.CopiesInFlight);
        Assert.Null(Device.Wait(ticket));
        Assert.Equal(0, Device.CopiesInFlight);
        Assert.Equal(ErrorCode.InvalidArgument, Device.Wait(ticket)!.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Device.Wait(default)!.Code);
        Device.Free(slot);
        Assert.Null(Device.Fault);
    }

    [Fact]
    public void Copy_BadRanges_AreRefusedByName()
    {
        Assert.Equal(DeviceAllocation.Allocated, Device.TryAllocate(512, out DeviceSlot slot));
        foreach ((int length, int at) in (ReadOnlySpan<(int, int)>)[(513, 0), (1, 512), (1, -1), (0, 0), (512, 1)])
        {
            Assert.Equal("device.copy", Device.CopyIn(new byte[length], slot, at).Error!.Field);
            Assert.Equal("device.copy", Device.CopyOut(slot, at, new byte[length]).Error!.Field);
        }

        Assert.Equal("device.slot", Device.CopyIn(new byte[1], new DeviceSlot(Device.CapacityBytes, 512)).Error!.Field);
        Device.Free(slot);
        Assert.Null(Device.Fault);
    }

    [Fact]
    public void Copy_MoreThanTheLimitInFlight_IsBusy()
    {
        using RecallDevice device = RecallDevice.Open(DeviceFixture.Options with { CopiesMax = 2 }).Value;
        Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(512, out DeviceSlot slot));
        DeviceCopyTicket first = device.CopyIn(new byte[512], slot).Value;
        DeviceCopyTicket second = device.CopyIn(new byte[512], slot).Value;
        Assert.Equal(ErrorCode.Busy, device.CopyIn(new byte[512], slot).Error!.Code);
        Assert.Null(device.Wait(first));
        DeviceCopyTicket third = device.CopyIn(new byte[512], slot).Value;
        Assert.Null(device.Wait(second));
        Assert.Null(device.Wait(third));
        Assert.Null(device.Fault);
    }

    [Fact]
    public void Requests_Repeated_AllocateNothingOnTheHeap()
    {
        using DeviceRows rows = DeviceRows.Random(Device, Dtype.Float16, 256, 64, new Random(3));
        float[] queries = new float[4 * 64];
        float[] scores = new float[4 * 256];
        int[] best = new int[8];
        float[] outputs = new float[4 * 64];
        byte[] bytes = new byte[4096];
        RowRange[] ranges = [new(rows.At(0), 256)];
        AttendChunk[] chunks = [new(rows.At(0), rows.At(128), 128)];
        long allocated = long.MaxValue;

        // What allocates in a steady state does so in every round; a wait or a lock that blocked for the first time, in one.
        for (int round = 0; round < 10 && allocated > 0; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            var batch = new ScoreBatch { Dtype = Dtype.Float16, RowLength = 64, Queries = 4, QueryRows = queries, Ranges = ranges };
            bool good = Device.Score(batch, scores) is null
                & Device.ScoreTopK(batch, ScoreReduction.Max, [new ScoreList(0, 256)], 8, best, []) is null;
            var attend = new AttendBatch
            {
                Dtype = Dtype.Float16,
                Dims = 64,
                Scale = 1,
                Queries = queries,
                Groups = [new AttendGroup(0, 4, 0, 1)],
                Chunks = chunks,
            };
            good &= Device.Attend(attend, outputs, scores.AsSpan(0, 4)) is null;
            good &= Device.Wait(Device.CopyIn(bytes, rows.Slot).Value) is null;
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(good);
        }

        Assert.Equal(0, allocated);
    }
}
