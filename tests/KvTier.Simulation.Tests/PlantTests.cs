namespace KvTier.Simulation.Tests;

/// <summary>A simulation that finds nothing proves nothing: bugs that are put in must be found.</summary>
public sealed class PlantTests
{
    private const int SeedsMax = 200;

    public static TheoryData<Plant> Planted => [.. Enum.GetValues<Plant>().Skip(1)];

    [Theory]
    [MemberData(nameof(Planted))]
    public void Plant_WithinTwoHundredSeeds_IsFound(Plant plant)
    {
        SimFailure? found = null;
        int seed = 0;
        SimBatch.Run(1, SeedsMax, 120, 0, plant, Environment.ProcessorCount, (plan, result) =>
        {
            if (found is not null || result.Failure is null) return;
            (found, seed) = (result.Failure, plan.Seed);
        }, () => found is not null);
        Assert.True(found is not null, $"{SeedsMax} seeds do not notice {plant}");

        // Without the bug the same seed passes, so that it is this bug which was found.
        Assert.Null(SimRunner.Run(Planner.Make(seed, 120)).Failure);
    }
}
