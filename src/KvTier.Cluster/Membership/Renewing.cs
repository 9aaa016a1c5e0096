namespace KvTier.Cluster;

/// <summary>Keeps the silo's lease: renews it every third of its time, more often when that fails.</summary>
internal sealed class Renewing(MembershipContext context)
{
    private long toldEpoch;

    /// <summary>What is published with each renewal.</summary>
    public Func<SiloLoad>? LoadOf { get; set; }

    /// <summary>Runs until it is told to stop.</summary>
    public async Task RunAsync()
    {
        TimeSpan third = context.Options.LeaseTtl / 3;
        Backoff backoff = context.NewBackoff(third / 8, third);
        TimeSpan pause = third;
        while (!context.Stop.IsCancellationRequested)
        {
            await context.RenewWake.SleepAsync(pause, context.Stop);
            pause = third;
            if (context.Stop.IsCancellationRequested || !context.IsRegistered) continue;
            if (await RenewAsync(third)) backoff.Reset();
            else pause = backoff.Next();
        }
    }

    private async ValueTask<bool> RenewAsync(TimeSpan deadline)
    {
        TimeSpan sent = context.Clock.Now;
        KvError? error = await context.Engine.RenewAsync(TakeLoad(), deadline);
        if (!context.IsRegistered) return true;
        switch (error?.Code)
        {
            case null:
                context.Authority.Renewed(sent);
                return true;
            case ErrorCode.LeaseExpired:
                context.Authority.LeaseLost();
                context.IsRegistered = false;
                context.Problem = error;
                context.JoinWake.Set();
                return true;
            default:
                context.Problem = error;
                return false;
        }
    }

    private SiloLoad TakeLoad()
    {
        long epoch = context.Keeper.State.Map.Epoch;
        if (context.Authority.GivenLeft(context.Clock.Now) <= TimeSpan.Zero) toldEpoch = epoch;
        return (LoadOf?.Invoke() ?? new SiloLoad()) with { Epoch = toldEpoch };
    }
}
