namespace KvTier.Kernels.Device.Tests;

public sealed class ConcurrencyTests(DeviceFixture fixture) : LeakGated
{
    private const int Threads = 4;

    protected override IReadOnlyList<(string Name, long Count)> LeakCounts =>
        [("device bytes", fixture.Device.UsedBytes), ("copies", fixture.Device.CopiesInFlight)];

    [Fact]
    public void RequestsAndCopies_FromManyThreads_DoNotMix()
    {
        RecallDevice device = fixture.Device;
        var wrong = new System.Collections.Concurrent.ConcurrentQueue<string>();
        RunThreads(thread =>
        {
            var random = new Random(thread);
            for (int round = 0; round < 25; round++)
            {
                // Rows of one number: every score is that number times the row's length.
                float number = thread + (round / 32f);
                byte[] bytes = new byte[64 * 16 * 4];
                System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(bytes.AsSpan()).Fill(number);
                if (device.TryAllocate(bytes.Length, out DeviceSlot slot) != DeviceAllocation.Allocated) wrong.Enqueue("full");
                if (device.Wait(device.CopyIn(bytes, slot).Value) is { } copied) wrong.Enqueue(copied.Message);
                int rows = random.Next(1, 65);
                float[] scores = new float[rows];
                float[] ones = new float[16];
                ones.AsSpan().Fill(1);
                var batch = new ScoreBatch
                {
                    Dtype = Dtype.Float32,
                    RowLength = 16,
                    Queries = 1,
                    QueryRows = ones,
                    Ranges = new[] { new RowRange(slot.Offset, rows) },
                };
                if (device.Score(batch, scores) is { } error) wrong.Enqueue(error.Message);
                if (scores.Any(score => score != 16 * number)) wrong.Enqueue($"thread {thread}, round {round}: another's scores");
                byte[] back = new byte[bytes.Length];
                if (device.Wait(device.CopyOut(slot, 0, back).Value) is { } fetched) wrong.Enqueue(fetched.Message);
                if (!back.AsSpan().SequenceEqual(bytes)) wrong.Enqueue($"thread {thread}, round {round}: another's bytes");
                device.Free(slot);
            }
        });
        Assert.Empty(wrong);
        Assert.Null(device.Fault);
    }

    [Fact]
    public void Dispose_WhileOthersWork_GivesThemErrorsAndLeavesNothing()
    {
        RecallDevice device = RecallDevice.Open(DeviceFixture.Options).Value;
        Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(4096, out DeviceSlot slot));
        using var working = new CountdownEvent(Threads);
        var wrong = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var closer = new Thread(() =>
        {
            working.Wait();
            device.Dispose();
        });
        closer.Start();
        RunThreads(thread =>
        {
            bool told = false;
            KvError? error = null;
            while (error is null)
            {
                error = device.TopK(new float[100], [new ScoreList(0, 100)], 3, new int[3], []);
                if (error is not null) break;
                if (device.CopyIn(new byte[4096], slot).TryGet(out DeviceCopyTicket ticket, out error)) _ = device.Wait(ticket);
                if (!told) working.Signal();
                told = true;
            }

            if (!told) working.Signal();
            if (error!.Code != ErrorCode.Unavailable) wrong.Enqueue($"thread {thread}: {error.Message}");
        });
        closer.Join();
        Assert.Empty(wrong);
        Assert.Equal(0, device.LiveHandles);
    }

    private static void RunThreads(Action<int> work)
    {
        Exception? thrown = null;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(thread => new Thread(() =>
        {
            try
            {
                work(thread);
            }
            catch (Exception exception)
            {
                thrown = exception;
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.Null(thrown);
    }
}
