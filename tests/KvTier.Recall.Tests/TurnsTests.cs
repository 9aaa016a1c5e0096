namespace KvTier.Recall.Tests;

/// <summary>The mailbox of a sequence.</summary>
public class TurnsTests
{
    private readonly ManualTimeProvider clock = new();

    [Fact]
    public async Task EnterAsync_Several_TakeTurnsInOrder()
    {
        var turns = new Turns(8);
        Assert.Null(await turns.EnterAsync(Limit(10)));
        Task<KvError?>[] waiting = [.. Enumerable.Range(0, 3).Select(_ => turns.EnterAsync(Limit(10)).AsTask())];

        for (int i = 0; i < 3; i++)
        {
            Assert.All(waiting[i..], task => Assert.False(task.IsCompleted));
            turns.Leave();
            Assert.Null(await waiting[i]);
        }

        turns.Leave();
        Assert.True(turns.TryEnter());
        Assert.False(turns.TryEnter());
    }

    [Fact]
    public async Task EnterAsync_MoreThanTheLimit_IsBusy()
    {
        var turns = new Turns(1);
        Assert.Null(await turns.EnterAsync(Limit(10)));
        Task<KvError?> waits = turns.EnterAsync(Limit(10)).AsTask();
        KvError error = (await turns.EnterAsync(Limit(10)))!;
        Assert.Equal((ErrorCode.Busy, "recall.mailboxMax"), (error.Code, error.Field));
        turns.Leave();
        Assert.Null(await waits);
    }

    [Fact]
    public async Task EnterAsync_DeadlinePasses_LeavesItsPlaceToOthers()
    {
        var turns = new Turns(8);
        Assert.Null(await turns.EnterAsync(Limit(10)));
        Task<KvError?> early = turns.EnterAsync(Limit(1)).AsTask();
        Task<KvError?> patient = turns.EnterAsync(Limit(100)).AsTask();
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(ErrorCode.DeadlineExceeded, (await early)!.Code);
        turns.Leave();
        Assert.Null(await patient);
        Assert.Equal(0, clock.PendingTimers);
    }

    [Fact]
    public async Task Close_WhileOthersWait_RefusesThemAndThoseAfter()
    {
        var turns = new Turns(8);
        Assert.Null(await turns.EnterAsync(Limit(10)));
        Task<KvError?> waits = turns.EnterAsync(Limit(10)).AsTask();
        turns.Close(new KvError(ErrorCode.ShuttingDown, "recall"));
        Assert.Equal(ErrorCode.ShuttingDown, (await waits)!.Code);
        Assert.Equal(ErrorCode.ShuttingDown, (await turns.EnterAsync(Limit(10)))!.Code);
    }

    private Deadline Limit(int seconds) => new(clock, TimeSpan.FromSeconds(seconds));
}
