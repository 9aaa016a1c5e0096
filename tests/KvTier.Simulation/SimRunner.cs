namespace KvTier.Simulation;

/// <summary>What came of one run.</summary>
/// <param name="Failure">The oracle that said no; null when none did.</param>
/// <param name="Trace">What happened.</param>
/// <param name="Events">Events that ran.</param>
/// <param name="VirtualTicks">Time that passed in it.</param>
internal sealed record SimResult(SimFailure? Failure, string Trace, long Events, long VirtualTicks);

/// <summary>Runs plans.</summary>
internal static class SimRunner
{
    /// <summary>Runs a plan, alone on the calling thread.</summary>
    internal static SimResult Run(SimPlan plan, Plant plant = Plant.None)
    {
        using var world = new SimWorld(plan, plant);
        SimFailure? failure = null;
        try
        {
            world.Run();
        }
        catch (SimFailure found)
        {
            failure = found;
        }
#pragma warning disable CA1031 // What the code under test throws is a finding like any other, with its seed and trace.
        catch (Exception thrown)
#pragma warning restore CA1031
        {
            failure = new SimFailure("no exception", thrown.ToString());
        }

        return new SimResult(failure, world.Trace.Text, world.Scheduler.Events, world.Scheduler.Now);
    }
}
