namespace KvTier.Protocol.Tests;

/// <summary>What code allocates on its thread.</summary>
internal static class Allocated
{
    /// <summary>The least that a few runs allocate: in one of them the runtime may fill a cache of its own, in each never.</summary>
    public static long Least(Action work)
    {
        long least = long.MaxValue;
        for (int i = 0; i < 5 && least > 0; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            work();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
