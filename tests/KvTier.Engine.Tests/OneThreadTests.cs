namespace KvTier.Engine.Tests;

/// <summary>The engine where one thread runs everything.</summary>
public sealed class OneThreadTests
{
    [Fact]
    public void PutsGetsAndWriteBehind_UnderAContext_StayOnTheThread()
    {
        var log = new FakeLog { HoldReads = NewHold(), HoldCommits = NewHold() };
        var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4 }, log);
        var threads = new HashSet<int>();

        // Reads and commits end only when nothing else is left to do, and then the clock moves: every wait of the engine is met.
        OneThread.Run(() => UseAsync(harness, threads), () =>
        {
            LetGo(log.HoldReads);
            LetGo(log.HoldCommits);
            log.HoldReads = NewHold();
            log.HoldCommits = NewHold();
            harness.Clock.Advance(TimeSpan.FromMilliseconds(1));
        });
        Assert.Equal([Environment.CurrentManagedThreadId], threads);
        Assert.True(log.Reads > 20, $"only {log.Reads} reads");
    }

    private static async Task UseAsync(EngineHarness harness, HashSet<int> threads)
    {
        for (int number = 0; number < 40; number++)
        {
            harness.Begin(number, out Reservation reservation);
            harness.Seal(number, reservation, out long ticket);
            ValueTask<KvError?> durable = harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard);
            while (await harness.Engine.Writer!.StepAsync()) threads.Add(Environment.CurrentManagedThreadId);
            Assert.Null(await durable);
            threads.Add(Environment.CurrentManagedThreadId);
        }

        // Slots that are leased leave no room: one wait ends by its deadline, the other by a release.
        BlockLease[] leases = new BlockLease[4];
        for (int number = 0; number < 4; number++)
            leases[number] = (await harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(number), EngineHarness.Guard)).Lease;
        Assert.False(await harness.Engine.WaitForRoomAsync(512, TimeSpan.FromMilliseconds(3)));
        threads.Add(Environment.CurrentManagedThreadId);
        ValueTask<bool> room = harness.Engine.WaitForRoomAsync(512, EngineHarness.Guard);
        foreach (BlockLease lease in leases) harness.Engine.Release(lease);
        Assert.True(await room);
        threads.Add(Environment.CurrentManagedThreadId);
        for (int number = 0; number < 40; number++)
        {
            Assert.Equal(MissReason.None, (await harness.GetAsync(number)).Reason);
            threads.Add(Environment.CurrentManagedThreadId);
            harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(number - 20));
        }

        var destination = new byte[100];
        BlockRange[] ranges = [new BlockRange(0, 100)];
        await harness.Engine.ReadRangesAsync(harness.Namespace, EngineHarness.IdOf(25), ranges, destination, EngineHarness.Guard);
        threads.Add(Environment.CurrentManagedThreadId);
        harness.Engine.Sweeper.Step();
        Assert.Null(await harness.Engine.DrainAsync(EngineHarness.Guard));
        await harness.DisposeAsync();
        threads.Add(Environment.CurrentManagedThreadId);
    }

    private static TaskCompletionSource NewHold() => new();

    private static void LetGo(TaskCompletionSource? hold) => hold!.TrySetResult();
}
