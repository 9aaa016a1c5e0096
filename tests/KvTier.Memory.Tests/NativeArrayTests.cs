namespace KvTier.Memory.Tests;

public sealed class NativeArrayTests : LeakGated
{
    [Fact]
    public void Grow_FilledArray_KeepsValuesAndAddsZeros()
    {
        using var array = new NativeArray<long>(1000);
        for (int i = 0; i < 1000; i++) array[i] = i + 1;
        array.Grow(3_000_000);
        for (int i = 0; i < 1000; i++) Assert.Equal(i + 1, array[i]);
        Assert.Equal(-1, array.AsSpan(1000, 2_999_000).IndexOfAnyExcept(0));
        array[2_999_999] = 5;
        Assert.Equal(5, array.Unchecked(2_999_999));
        Assert.Throws<ArgumentOutOfRangeException>(() => array.Grow(10));
    }

    [Fact]
    public void Clear_FilledArray_MakesItZero()
    {
        using var array = new NativeArray<byte>(10 << 20, hugePages: true);
        array.AsSpan(0, 10 << 20).Fill(7);
        array.Clear();
        Assert.Equal(-1, array.AsSpan(0, 10 << 20).IndexOfAnyExcept((byte)0));
    }

    [Fact]
    public void Index_Outside_Throws()
    {
        using var array = new NativeArray<int>(5);
        foreach (long index in (long[])[-1, 5, long.MaxValue, long.MinValue])
            Assert.Throws<ArgumentOutOfRangeException>(() => array[index]);
        Assert.Throws<ArgumentOutOfRangeException>(() => array.AsSpan(4, 2).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => array.AsSpan(-1, 1).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => array.AsSpan(0, -1).Length);
        Assert.Equal(0, array.AsSpan(5, 0).Length);
    }

    [Fact]
    public void Dispose_Array_IsSeenByTheTrackerAndMakesUseThrow()
    {
        var array = new NativeArray<long>(1 << 20);
        Assert.Equal(8 << 20, NativeMemoryTracker.LiveBytes);
        Assert.Equal(8 << 20, array.SizeBytes);
        array.Grow(2 << 20);
        Assert.Equal(16 << 20, NativeMemoryTracker.LiveBytes);
        Assert.Single(LeakGate.Find());
        array.Dispose();
        array.Dispose();
        Assert.Equal(0, NativeMemoryTracker.LiveBytes);
        Assert.Throws<ArgumentOutOfRangeException>(() => array[0]);
        Assert.Throws<ObjectDisposedException>(() => array.Grow(1));
    }

    [Fact]
    public void New_MoreThanTheAddressSpace_ThrowsTyped()
    {
        KvException error = Assert.Throws<KvException>(() => new NativeArray<long>(1L << 50));
        Assert.Equal(ErrorCode.HostFull, error.Error.Code);
    }

    [Fact]
    public void LeakGate_ThingsLeft_NamesEach()
    {
        using (Arena.Create(new ArenaOptions { CapacityBytes = 1 << 20 }).Value)
        {
            LeakException leak = Assert.Throws<LeakException>(() => LeakGate.AssertClean(("leases", 3), ("reservations", 0)));
            Assert.Contains("native bytes", leak.Message, StringComparison.Ordinal);
            Assert.Contains("/dev/shm/kvtier-", leak.Message, StringComparison.Ordinal);
            Assert.Contains("3 leases", leak.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("reservations", leak.Message, StringComparison.Ordinal);
        }

        LeakGate.AssertClean(("leases", 0));
    }
}
