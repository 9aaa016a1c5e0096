using KvTier.Client.Connections;
using KvTier.Protocol;
using KvTier.Testing;

namespace KvTier.Client.Tests.Scripted;

/// <summary>A silo that can't be reached is not dialled without pause.</summary>
public sealed class DialBackoffTests
{
    private static readonly TimeSpan guard = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(0.0, new[] { 25.0, 50, 100, 200, 400, 500, 500 })]
    [InlineData(0.5, new[] { 37.5, 75, 150, 300, 600, 750, 750 })]
    public void Pause_AfterFailures_DoublesUpToTheLongest(double random, double[] expectedMs)
    {
        var clock = new ManualTimeProvider();
        var backoff = new DialBackoff(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(1), () => random, clock);
        Assert.Equal(TimeSpan.Zero, backoff.Pause);
        foreach (double expected in expectedMs)
        {
            backoff.Failed();
            Assert.Equal(expected, backoff.Pause.TotalMilliseconds, 3);
            clock.Advance(TimeSpan.FromMilliseconds(expected - 1));
            Assert.Equal(1, backoff.Pause.TotalMilliseconds, 3);
            clock.Advance(TimeSpan.FromMilliseconds(1));
            Assert.Equal(TimeSpan.Zero, backoff.Pause);
        }

        backoff.Failed();
        backoff.Succeeded();
        Assert.Equal(TimeSpan.Zero, backoff.Pause);
        backoff.Failed();
        Assert.Equal(expectedMs[0], backoff.Pause.TotalMilliseconds, 3);
    }

    [Fact]
    public async Task AnyCall_WhileTheDialPauses_EndsAtItsOwnDeadlineAndIsDialledAfterThePause()
    {
        await using var silo = new ScriptedSilo { Script = _ => Act.Close };
        var clock = new ManualTimeProvider();
        KvTierClientOptions options = OptionsOf(silo, clock);
        options.Resilience.Enabled = false;
        await using var client = new KvTierClient(options);
        KvError? first = await client.PingAsync().AsTask().WaitAsync(guard, TestContext.Current.CancellationToken);
        Assert.NotEqual(ErrorCode.DeadlineExceeded, first!.Code);
        Assert.Equal(1, silo.Accepted);

        // The pause is 25 ms at least.
        Task<KvError?> second = client.PingAsync(TimeSpan.FromMilliseconds(20)).AsTask();
        clock.Advance(TimeSpan.FromMilliseconds(20));
        Assert.Equal(ErrorCode.DeadlineExceeded, (await second.WaitAsync(guard, TestContext.Current.CancellationToken))!.Code);
        Assert.Equal(1, silo.Accepted);

        // Each pause is half of its length at least: 25, 50, 100, 200, 400 ms. Without them the clock would hardly move.
        long begun = clock.GetTimestamp();
        for (int i = 0; i < 5; i++) Assert.NotNull(await StepAsync(clock, client.PingAsync(TimeSpan.FromMinutes(5)).AsTask()));
        Assert.True(clock.GetElapsedTime(begun) >= TimeSpan.FromMilliseconds(700), $"{clock.GetElapsedTime(begun)} for five pauses");
        Assert.Equal(6, silo.Accepted);
        silo.Script = _ => Act.Answer;
        Assert.Null(await StepAsync(clock, client.PingAsync(TimeSpan.FromMinutes(5)).AsTask()));
        Assert.Equal(7, silo.Accepted);
    }

    /// <summary>No dial is late because the clock, which <see cref="StepAsync"/> moves, goes on while the machine stands still.</summary>
    private static KvTierClientOptions OptionsOf(ScriptedSilo silo, TimeProvider clock) => new()
    {
        Endpoint = $"tcp://127.0.0.1:{silo.Port}",
        TimeProvider = clock,
        ConnectTimeout = TimeSpan.FromMinutes(5),
    };

    /// <summary>Lets the clock go on until a call has ended.</summary>
    private static async Task<KvError?> StepAsync(ManualTimeProvider clock, Task<KvError?> call)
    {
        using var late = new CancellationTokenSource(guard);
        while (!call.IsCompleted)
        {
            clock.Advance(TimeSpan.FromMilliseconds(2));
            await Task.Delay(1, late.Token);
        }

        return await call;
    }

    [Fact]
    public async Task DisposeAsync_WhileADialPauses_DoesNotWaitForIt()
    {
        await using var silo = new ScriptedSilo { Script = _ => Act.Close };
        var clock = new ManualTimeProvider();
        KvTierClientOptions options = OptionsOf(silo, clock);
        options.Resilience.Enabled = false;
        var client = new KvTierClient(options);
        await client.PingAsync().AsTask().WaitAsync(guard, TestContext.Current.CancellationToken);
        Task<KvError?> waiting = client.PingAsync(TimeSpan.FromMinutes(1)).AsTask();
        await client.DisposeAsync().AsTask().WaitAsync(guard, TestContext.Current.CancellationToken);
        Assert.Equal(ErrorCode.Unavailable, (await waiting.WaitAsync(guard, TestContext.Current.CancellationToken))!.Code);
    }
}
