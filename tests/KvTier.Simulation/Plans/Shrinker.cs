namespace KvTier.Simulation;

/// <summary>
/// Takes steps out of a plan that fails as long as the same oracle says no: halves first, then quarters, down to single steps
/// (Zeller and Hildebrandt's ddmin, without its tests of complements' complements).
/// </summary>
internal static class Shrinker
{
    /// <summary>Finds a shorter plan.</summary>
    /// <param name="plan">A plan that fails.</param>
    /// <param name="oracle">The oracle that says so.</param>
    /// <param name="plant">The bug that was put in.</param>
    /// <param name="runsMax">Most runs that may be spent on it.</param>
    internal static SimPlan Shrink(SimPlan plan, string oracle, Plant plant, int runsMax)
    {
        int runs = 0;
        List<SimStep> steps = [.. plan.Steps];
        for (int size = Math.Max(1, steps.Count / 2); ; size = Math.Max(1, size / 2))
        {
            bool shorter = false;
            for (int at = 0; at < steps.Count && runs < runsMax;)
            {
                List<SimStep> fewer = [.. steps[..at], .. steps[Math.Min(steps.Count, at + size)..]];
                runs++;
                if (SimRunner.Run(plan with { Steps = fewer }, plant).Failure?.Oracle == oracle)
                {
                    steps = fewer;
                    shorter = true;
                }
                else
                {
                    at += size;
                }
            }

            if (runs >= runsMax || (size == 1 && !shorter)) return plan with { Steps = steps };
        }
    }
}
