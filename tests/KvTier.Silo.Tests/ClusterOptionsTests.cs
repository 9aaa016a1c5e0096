using KvTier.Testing;

namespace KvTier.Silo.Tests;

/// <summary>The options of a silo in a cluster, and what must agree between them.</summary>
public sealed class ClusterOptionsTests : IDisposable
{
    private readonly TempDirectory folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Load_WithoutEtcd_IsNoClusterAndAsksForNothing()
    {
        SiloOptions options = SiloOptionsLoader.Load(null, null, [new("address", "0.0.0.0"), new("cluster.zone", "a")]).Value;
        Assert.False(options.Cluster.IsOn);
        Assert.Equal("silo", options.Name);
    }

    [Fact]
    public void Load_WithEtcd_TakesUrlsFromFileAndLine_AndTheMachinesName()
    {
        File.WriteAllText(folder["c.yaml"], "cluster:\n  etcd: [http://127.0.0.1:2379, http://localhost:2380]\n  zone: a\n");
        SiloOptions fromFile = SiloOptionsLoader.Load(folder["c.yaml"], null, null).Value;
        SiloOptions fromLine = SiloOptionsLoader.Load(null, null,
            [new("cluster.etcd", "http://127.0.0.1:2379, http://localhost:2380"), new("name", "mine")]).Value;
        Assert.Equal(["http://127.0.0.1:2379", "http://localhost:2380"], fromFile.Cluster.Etcd);
        Assert.Equal(fromFile.Cluster.Etcd, fromLine.Cluster.Etcd);
        Assert.Equal((SiloName.Of(Environment.MachineName), "mine"), (fromFile.Name, fromLine.Name));
    }

    [Theory]
    [InlineData("kvtier-0", "kvtier-0")]
    [InlineData("Node 7.example", "node-7.example")]
    [InlineData("", "silo")]
    public void Of_AMachinesName_IsValid(string machine, string name) => Assert.Equal(name, SiloName.Of(machine));

    [Theory]
    [InlineData("cluster.etcd=ftp://x:1", "cluster.etcd")]
    [InlineData("cluster.etcd=http://x:1/path", "cluster.etcd")]
    [InlineData("cluster.etcd=http://u:p@x:1", "cluster.etcd")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 tcp=false unixSocket=/tmp/x", "tcp")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 address=0.0.0.0", "cluster.advertise")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.advertise=0.0.0.0:1", "cluster.advertise")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.advertise=nowhere", "cluster.advertise")]
    [InlineData("cluster.etcd=http://10.0.0.9:1", "cluster.advertise")]
    [InlineData("cluster.etcd=http://127.0.0.1:1,http://10.0.0.9:1 cluster.advertise=localhost:7420", "cluster.advertise")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 resp.enabled=true resp.address=::", "cluster.respAdvertise")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.etcdUser=root", "cluster.etcdPassword")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.etcdPassword=x", "cluster.etcdUser")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.etcdCa=/nowhere.pem", "cluster.etcd")]
    [InlineData("cluster.etcd=https://127.0.0.1:1 cluster.etcdCa=/nowhere.pem", "cluster.etcdCa")]
    [InlineData("cluster.etcd=https://127.0.0.1:1 cluster.etcdKey=/nowhere.pem", "cluster.etcdCert")]
    [InlineData("cluster.leaseMs=10", "cluster.leaseMs")]
    [InlineData("cluster.replicas=4", "cluster.replicas")]
    [InlineData("cluster.name=No", "cluster.name")]
    [InlineData("cluster.etcd=http://127.0.0.1:1 cluster.highWatermark=50", "cluster.lowWatermark")]
    public void Load_WithOptionsThatDoNotAgree_NamesTheOne(string options, string field)
    {
        KvError error = Load(options).Error!;
        Assert.EndsWith(field, error.Field, StringComparison.Ordinal);
        Assert.Equal(ErrorCode.InvalidArgument, error.Code);
    }

    [Theory]
    [InlineData("cluster.etcd=http://10.0.0.9:2379 address=0.0.0.0 cluster.advertise=10.0.0.7:7420")]
    [InlineData("cluster.etcd=http://etcd:2379 address=0.0.0.0 cluster.advertise=kvtier-0.kvtier:7420")]
    [InlineData("cluster.etcd=http://[fd00::1]:2379 address=fd00::7")]
    [InlineData("cluster.etcd=http://[::1]:2379 cluster.advertise=[::1]:7420 cluster.etcdUser=root cluster.etcdPassword=x")]
    public void Load_WithOptionsThatAgree_IsRight(string options) => Assert.Null(Load(options).Error);

    private static Result<SiloOptions> Load(string options) => SiloOptionsLoader.Load(null, null,
        options.Split(' ').Select(option => KeyValuePair.Create(option[..option.IndexOf('=', StringComparison.Ordinal)],
            option[(option.IndexOf('=', StringComparison.Ordinal) + 1)..])));
}
