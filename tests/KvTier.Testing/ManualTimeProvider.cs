namespace KvTier.Testing;

/// <summary>
/// A clock that stands still until it is told to go on. Timers fire inside <see cref="Advance"/>, on the caller's thread, in the order in
/// which they are due, with the clock at the time they were due.
/// </summary>
/// <remarks>Thread-safe. Callbacks run outside the clock's lock, so that they may make, change and dispose timers.</remarks>
public sealed class ManualTimeProvider : TimeProvider
{
    private readonly Lock gate = new();
    private readonly List<ManualTimer> timers = [];
    private DateTimeOffset now;
    private long timersMade;

    /// <summary>Makes a clock.</summary>
    /// <param name="start">The time it shows; by default 2026-01-01T00:00:00Z.</param>
    public ManualTimeProvider(DateTimeOffset? start = null) => now = start ?? new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>Timers that are due some time.</summary>
    public int PendingTimers
    {
        get
        {
            lock (gate) return timers.Count;
        }
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow()
    {
        lock (gate) return now;
    }

    /// <inheritdoc/>
    public override long GetTimestamp() => GetUtcNow().Ticks;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new ManualTimer(this, callback, state, Interlocked.Increment(ref timersMade));
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Lets time pass and fires what becomes due.</summary>
    /// <param name="span">How much; 0 or more.</param>
    public void Advance(TimeSpan span)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(span, TimeSpan.Zero);
        DateTimeOffset end;
        lock (gate) end = now + span;
        while (TakeDue(end) is { } due) due.Fire();
        lock (gate)
        {
            if (now < end) now = end;
        }
    }

    private ManualTimer? TakeDue(DateTimeOffset end)
    {
        lock (gate)
        {
            ManualTimer? first = null;
            foreach (ManualTimer timer in timers)
            {
                if (timer.Due <= end && (first is null || timer.IsBefore(first))) first = timer;
            }

            if (first is null) return null;
            if (first.Due > now) now = first.Due;
            if (first.Period is { } period) first.Due += period;
            else timers.Remove(first);
            return first;
        }
    }

    private sealed class ManualTimer(ManualTimeProvider clock, TimerCallback callback, object? state, long number) : ITimer
    {
        private bool disposed;

        public DateTimeOffset Due { get; set; }

        public TimeSpan? Period { get; private set; }

        public void Fire() => callback(state);

        public bool IsBefore(ManualTimer other) => Due < other.Due || (Due == other.Due && number < other.Number);

        private long Number => number;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock.gate)
            {
                if (disposed) return false;
                clock.timers.Remove(this);
                Period = period > TimeSpan.Zero ? period : null;
                if (dueTime == Timeout.InfiniteTimeSpan) return true;
                ArgumentOutOfRangeException.ThrowIfLessThan(dueTime, TimeSpan.Zero);
                Due = clock.now + dueTime;
                clock.timers.Add(this);
                return true;
            }
        }

        public void Dispose()
        {
            lock (clock.gate)
            {
                disposed = true;
                clock.timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
