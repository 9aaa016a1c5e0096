using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>What tells that a child process really runs with the vectors it is meant to have.</summary>
public class LanesTests
{
    internal const string Expected = "KVTIER_TEST_EXPECTED_LANES";

    [Fact]
    public void WidestLanes_AreThoseOfTheMachineOrThoseAskedFor()
    {
        int widest = Widths.Available().FirstOrDefault() / 32;
        string? expected = Environment.GetEnvironmentVariable(Expected);
        Assert.Equal(expected is null ? (Lanes512.IsSupported ? 16 : Lanes256.IsSupported ? 8 : widest) : int.Parse(expected), widest);
    }
}
