namespace KvTier.Recall.Tests;

/// <summary>The threads that score and attend.</summary>
public class WorkerPoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Run_SeveralWorksAtOnce_EveryPartIsDoneOnce(int workers)
    {
        using var pool = new WorkerPool(workers);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int parts = 0; parts < 300; parts++)
            {
                var work = new CountWork(parts);
                pool.Run(work, parts);
                Assert.All(work.Counts, count => Assert.Equal(1, count));
            }
        })));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Run_APartFails_IsThrownAfterTheOthersEnded(int workers)
    {
        using var pool = new WorkerPool(workers);
        Assert.ThrowsAny<InvalidOperationException>(() => pool.Run(new CountWork(10) { Fails = 5 }, 10));
        var next = new CountWork(10);
        pool.Run(next, 10);
        Assert.All(next.Counts, count => Assert.Equal(1, count));
    }

    private sealed class CountWork(int parts) : ParallelWork
    {
        internal int[] Counts { get; } = new int[parts];

        internal int Fails { get; init; } = -1;

        internal override void Run(int part)
        {
            if (part == Fails) throw new InvalidOperationException("this part fails");
            Interlocked.Increment(ref Counts[part]);
        }
    }
}
