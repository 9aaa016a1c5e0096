namespace KvTier.Simulation.Tests;

public sealed class SeedTests
{
    private const int Seeds = 1000;
    private const int Steps = 120;

    [Fact]
    public void Seeds_AThousand_AllOraclesHold()
    {
        var failures = new List<string>();
        SimTotals totals = SimBatch.Run(1, Seeds, Steps, 0, Plant.None, Environment.ProcessorCount, (plan, result) =>
        {
            if (result.Failure is { } failure) failures.Add($"seed {plan.Seed}: {failure.Message} (./dev sim --seed {plan.Seed})");
        });
        Assert.True(failures.Count == 0, string.Join('\n', failures));
        Assert.Equal(Seeds, totals.Seeds);
    }

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
