namespace KvTier.Kernels.Tests;

/// <summary>The allocation gate: after a first call, no byte on the GC heap, but for what the collector took from a pool meanwhile.
/// </summary>
internal static class Allocation
{
    internal static void AssertNone(Action action)
    {
        action();
        long least = long.MaxValue;
        for (int round = 0; round < 5 && least > 0; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 50; i++) action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.Equal(0, least);
    }
}
