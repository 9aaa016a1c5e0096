using System.Collections.Concurrent;
using KvTier.Cli;
using KvTier.Testing;

namespace KvTier.ProcessTests;

public class CrashTests
{
    private const int Rounds = 50;
    private const int Writers = 4;

    [Fact]
    public async Task KillMinus9_FiftyRoundsUnderPutsWithAckSsd_EveryAcknowledgedBlockIsThereWithItsBytes()
    {
        using var folder = new TempFolder();
        string[] arguments = TestSilo.Arguments(folder);
        var random = new Random(1);
        var acknowledged = new List<long>();
        var attempted = new List<long>();
        long next = 0;
        for (int round = 0; round < Rounds; round++)
        {
            await using TestSilo silo = await TestSilo.StartAsync(arguments);
            Assert.Empty(await NumberedBlocks.MissingAsync(silo.Blocks, acknowledged));
            // Blocks whose acknowledgement the kill cut off may be there or not; if they are, their bytes are right.
            await NumberedBlocks.MissingAsync(silo.Blocks, attempted);

            attempted.Clear();
            var done = new ConcurrentQueue<long>();
            int killAt = random.Next(1, 60);
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            long first = next;
            Task[] writers = [.. Enumerable.Range(0, Writers).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    long number = Interlocked.Increment(ref next);
                    if ((await NumberedBlocks.PutAsync(silo.Blocks, number, AckLevel.Ssd)).Error is { } error)
                    {
                        Assert.Equal(ErrorCode.Unavailable, error.Code);
                        return;
                    }

                    done.Enqueue(number);
                    if (done.Count >= killAt) reached.TrySetResult();
                }
            }))];
            await reached.Task.WaitAsync(TimeSpan.FromSeconds(60), TestSilo.Cancel);
            await silo.Process.KillAsync();
            await Task.WhenAll(writers).WaitAsync(TimeSpan.FromSeconds(60), TestSilo.Cancel);
            acknowledged.AddRange(done);
            for (long number = first + 1; number <= next; number++) attempted.Add(number);
        }

        await using TestSilo last = await TestSilo.StartAsync(arguments);
        Assert.Empty(await NumberedBlocks.MissingAsync(last.Blocks, acknowledged));
        Assert.True(acknowledged.Count >= Rounds, $"only {acknowledged.Count} puts were acknowledged");
        Assert.Equal(0, (await last.StatAsync()).GetProperty("misses").GetProperty("corrupt").GetInt64());
    }

    [Fact]
    public async Task Sigterm_AfterPutsWithAckMemory_DrainsAndLosesNothing()
    {
        using var folder = new TempFolder();
        string[] arguments = TestSilo.Arguments(folder);
        long[] numbers = [.. Enumerable.Range(1, 800).Select(i => (long)i)];
        await using (TestSilo silo = await TestSilo.StartAsync(arguments))
        {
            foreach (long number in numbers) Assert.Null((await NumberedBlocks.PutAsync(silo.Blocks, number, AckLevel.Memory)).Error);
            Assert.Equal(0, await silo.Process.TerminateAsync());
        }

        await using TestSilo again = await TestSilo.StartAsync(arguments);
        Assert.Empty(await NumberedBlocks.MissingAsync(again.Blocks, numbers));
        Assert.True((await again.StatAsync()).GetProperty("recovery").GetProperty("clean").GetBoolean());
    }

    [Fact]
    public async Task Sigterm_UnderConcurrentPuts_EveryAcknowledgedBlockIsThereAgain()
    {
        using var folder = new TempFolder();
        string[] arguments = TestSilo.Arguments(folder);
        var done = new ConcurrentQueue<long>();
        long next = 0;
        await using (TestSilo silo = await TestSilo.StartAsync(arguments))
        {
            var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task[] writers = [.. Enumerable.Range(0, Writers).Select(_ => Task.Run(async () =>
            {
                while (true)
                {
                    long number = Interlocked.Increment(ref next);
                    if ((await NumberedBlocks.PutAsync(silo.Blocks, number, AckLevel.Memory)).Error is not null) return;
                    done.Enqueue(number);
                    if (done.Count >= 200) enough.TrySetResult();
                }
            }))];
            await enough.Task.WaitAsync(TimeSpan.FromSeconds(60), TestSilo.Cancel);
            Assert.Equal(0, await silo.Process.TerminateAsync());
            await Task.WhenAll(writers).WaitAsync(TimeSpan.FromSeconds(60), TestSilo.Cancel);
        }

        await using TestSilo again = await TestSilo.StartAsync(arguments);
        Assert.Empty(await NumberedBlocks.MissingAsync(again.Blocks, [.. done]));
    }

    [Fact]
    public async Task KillMinus9_SharedMemory_IsRemovedByTheNextSilo()
    {
        using var folder = new TempFolder();
        string[] arguments = TestSilo.Arguments(folder);
        // Any silo that starts on this machine removes what is there, those of other tests too: these two have a folder of their own in
        // its place, in mount namespaces, which need no rights.
        using var shared = new TempDirectory("/dev/shm");
        string[] through =
        [
            "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount --bind \"$0\" /dev/shm && exec \"$@\"", shared.FullPath,
        ];
        string[] ArenasOf(int pid) => Directory.GetFiles(shared.FullPath, $"kvtier-{pid}-*");
        int pid;
        await using (TestSilo silo = await TestSilo.StartAsync(arguments, through))
        {
            pid = silo.Process.Pid;
            Assert.NotEmpty(ArenasOf(pid));
            await silo.Process.KillAsync();
            Assert.NotEmpty(ArenasOf(pid));
        }

        await using (TestSilo next = await TestSilo.StartAsync(arguments, through))
        {
            Assert.Empty(ArenasOf(pid));
            pid = next.Process.Pid;
            Assert.NotEmpty(ArenasOf(pid));
            Assert.Equal(0, await next.Process.TerminateAsync());
        }

        Assert.Empty(ArenasOf(pid));
    }
}
