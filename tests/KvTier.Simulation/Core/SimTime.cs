namespace KvTier.Simulation;

/// <summary>The clocks of one process: they run at a rate of their own, and the wall clock may jump.</summary>
/// <param name="scheduler">The simulation's clock.</param>
/// <param name="process">Whose clock it is; its timers call back there.</param>
/// <param name="rate">Seconds that it counts in a second; close to 1.</param>
internal sealed class SimTime(SimScheduler scheduler, SimProcess process, double rate) : TimeProvider
{
    private static readonly DateTimeOffset start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>How far the wall clock is off.</summary>
    internal TimeSpan Jump { get; set; }

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => start.AddTicks(GetTimestamp()) + Jump;

    /// <inheritdoc/>
    public override long GetTimestamp()
    {
        scheduler.IsHere($"a look at the clock of {process.Name}");
        return (long)(scheduler.Now * rate);
    }

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class Timer(SimTime time, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan period;
        private long current;
        private bool disposed;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (disposed) return false;
            this.period = period;
            current++;
            if (dueTime != Timeout.InfiniteTimeSpan) Schedule(dueTime);
            return true;
        }

        public void Dispose()
        {
            disposed = true;
            current++;
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Schedule(TimeSpan dueTime)
        {
            long mine = current;
            long due = time.Scheduler.Now + (long)Math.Ceiling(dueTime.Ticks / time.Rate);
            time.Scheduler.Enqueue(time.Process, due, _ => Fire(mine), null);
        }

        private void Fire(long mine)
        {
            if (mine != current) return;
            if (period > TimeSpan.Zero) Schedule(period);
            callback(state);
        }
    }

    private SimScheduler Scheduler => scheduler;

    private SimProcess Process => process;

    private double Rate => rate;
}
