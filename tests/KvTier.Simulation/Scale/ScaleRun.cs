namespace KvTier.Simulation;

/// <summary>A cluster of many silos in which nothing goes wrong but what is to be counted: a death, a join.</summary>
internal static class ScaleRun
{
    /// <summary>Names of the phases, in their order.</summary>
    internal const string Start = "start";

    internal const string Rest = "at rest";
    internal const string Death = "one dies";
    internal const string Join = "one joins";

    /// <summary>Runs it.</summary>
    /// <param name="silos">How many silos.</param>
    /// <param name="seed">Decides delays and order.</param>
    internal static IReadOnlyList<ScalePhase> Run(int silos, int seed)
    {
        using var world = new SimWorld(new SimPlan
        {
            Seed = seed,
            Silos = silos,
            Replicas = 2,
            HasDisk = false,
            OneAtATime = true,
            HostBytes = 4 << 20,
            Steps = [],
        });
        return world.RunScale();
    }
}
