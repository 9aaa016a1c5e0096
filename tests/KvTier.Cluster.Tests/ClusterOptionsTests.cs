namespace KvTier.Cluster.Tests;

public sealed class ClusterOptionsTests
{
    [Fact]
    public void Validate_OfTheDefaults_IsNull() => Assert.Null(new ClusterOptions().Validate());

    [Fact]
    public void Validate_OfTooManyReplicas_NamesFieldValueAndLimit() =>
        Assert.Equal(
            KvError.InvalidArgument("cluster.replicas", 4, "1 to 3"), new ClusterOptions { Replicas = 4 }.Validate());
}
