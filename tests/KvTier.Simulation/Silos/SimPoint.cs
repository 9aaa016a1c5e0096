namespace KvTier.Simulation;

/// <summary>Places in a silo's work at which a fault hurts most; faults may be aimed at them.</summary>
internal enum SimPoint
{
    /// <summary>A put is answered that stored something and promises more than memory.</summary>
    Answered,

    /// <summary>A change of a value is admitted and not made yet.</summary>
    Admitted,

    /// <summary>Blocks of another silo were taken.</summary>
    Taken,
}

/// <summary>The places of one run that it passes.</summary>
internal sealed class SimPoints(SimProcess process, Random random)
{
    private readonly TaskCompletionSource?[] aimed = new TaskCompletionSource?[Enum.GetValues<SimPoint>().Length];

    /// <summary>Completes when the run passes a place next.</summary>
    internal Task NextAsync(SimPoint point) => (aimed[(int)point] ??= new TaskCompletionSource()).Task;

    /// <summary>The run passes a place, and may be kept there for a moment as by other work of the machine.</summary>
    internal async ValueTask PassAsync(SimPoint point)
    {
        TaskCompletionSource? waiting = aimed[(int)point];
        aimed[(int)point] = null;
        waiting?.TrySetResult();
        if (waiting is not null || random.Chance(0.1)) await process.DelayAsync(random.NextTicks(0, 50 * Ticks.Us));
    }
}
