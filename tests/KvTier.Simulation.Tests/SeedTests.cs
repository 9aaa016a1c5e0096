namespace KvTier.Simulation.Tests;

public sealed class SeedTests
{
    private const int Steps = 120;

    [Theory]
    [InlineData(5)]
    [InlineData(20)]
    public void Seed_RunTwice_TracesAreEqualByteForByte(int seed)
    {
        SimPlan plan = Planner.Make(seed, Steps);
        SimResult first = SimRunner.Run(plan);
        SimResult second = SimRunner.Run(Planner.Make(seed, Steps));
        Assert.Equal(first.Trace, second.Trace);
        Assert.Equal(first.Events, second.Events);
        Assert.Contains("at rest at the end", first.Trace, StringComparison.Ordinal);
        Assert.NotEqual(first.Trace, SimRunner.Run(Planner.Make(seed + 1, Steps)).Trace);
    }
}
