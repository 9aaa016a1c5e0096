namespace KvTier.Kernels.Tests;

/// <summary>The allocation gate: after a first call, no byte on the GC heap.</summary>
internal static class Allocation
{
    internal static void AssertNone(Action action)
    {
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 50; i++) action();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
