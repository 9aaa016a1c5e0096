using KvTier.Testing;
using static KvTier.Cluster.Tests.EtcdCluster;

namespace KvTier.Cluster.Tests;

public sealed class EtcdAccessTests
{
    [Theory]
    [InlineData(null, null)]
    [InlineData("root", "wrong")]
    [InlineData("nobody", "secret")]
    public async Task JoinAsync_WithoutOrWithWrongPassword_IsUnauthorizedWithWhatToDo(string? user, string? password)
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await etcd.RequirePasswordAsync("secret");
        await using EtcdEngine engine = Engine(Options(etcd.Endpoint) with { User = user, Password = password });
        KvError error = (await engine.JoinAsync(Silo("a"), Ttl, Long)).Error!;
        Assert.Equal(ErrorCode.Unauthorized, error.Code);
        Assert.Contains("cluster.etcdUser", error.Limit, StringComparison.Ordinal);
    }

    [Fact]
    public async Task JoinAsync_UserWithoutTheKeys_IsUnauthorized()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await etcd.CallAsync("/v3/auth/user/add", new { name = "guest", password = "guest" });
        await etcd.RequirePasswordAsync("secret");
        await using EtcdEngine engine = Engine(Options(etcd.Endpoint) with { User = "guest", Password = "guest" });
        Assert.Equal(ErrorCode.Unauthorized, (await engine.JoinAsync(Silo("a"), Ttl, Long)).Error?.Code);
    }

    [Fact]
    public async Task JoinAsync_RightPassword_WorksAndOutlivesItsToken()
    {
        await using EtcdProcess etcd = await EtcdProcess.StartAsync();
        await using EtcdEngine early = Engine(Options(etcd.Endpoint) with { User = "root", Password = "secret" });
        Assert.True((await early.JoinAsync(Silo("early"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await etcd.RequirePasswordAsync("secret");
        Assert.Null(await early.RenewAsync(new SiloLoad(), Long));
        await using EtcdEngine engine = Engine(Options(etcd.Endpoint) with { User = "root", Password = "secret" });
        Assert.True((await engine.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await AdmitAsync(engine, Silo("a"));

        // A restarted etcd knows no tokens.
        await etcd.KillAsync();
        await etcd.RestartAsync();
        Assert.Null(await engine.RenewAsync(new SiloLoad { Blocks = 1, SettledEpoch = 5 }, Long));
        ClusterChange change = new(1) { Settings = new ClusterSettings { Replicas = 1 } };
        Assert.Equal(2, (await engine.CommitAsync(change, Long)).Value.Map.Epoch);
        await WhenAsync(early, state => state.Map.Epoch == 2 && state.Loads.Count == 2);
    }

    [Fact]
    public async Task JoinAsync_Tls_NeedsTheAuthorityThatSignedIt()
    {
        using var certificates = new TestCertificates();
        var options = new EtcdProcessOptions { CertificateFile = certificates.Server, KeyFile = certificates.ServerKey };
        await using EtcdProcess etcd = await EtcdProcess.StartAsync(options);
        await using EtcdEngine trusting = Engine(Options(etcd.Endpoint) with { CaFile = certificates.Authority });
        Assert.True((await trusting.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await using EtcdEngine doubting = Engine(Options(etcd.Endpoint));
        KvError error = (await doubting.JoinAsync(Silo("b"), Ttl, Long)).Error!;
        Assert.Equal(ErrorCode.Unavailable, error.Code);
        Assert.Contains("certificate", error.Value, StringComparison.Ordinal);
        using var others = new TestCertificates();
        await using EtcdEngine misled = Engine(Options(etcd.Endpoint) with { CaFile = others.Authority });
        Assert.Equal(ErrorCode.Unavailable, (await misled.JoinAsync(Silo("b"), Ttl, Long)).Error?.Code);
        await using EtcdEngine plain = Engine(Options(new Uri($"http://127.0.0.1:{etcd.Port}")));
        Assert.Equal(ErrorCode.Unavailable, (await plain.JoinAsync(Silo("b"), Ttl, Long)).Error?.Code);
    }

    [Fact]
    public async Task JoinAsync_TlsWithClientCertificates_NeedsOne()
    {
        using var certificates = new TestCertificates();
        var options = new EtcdProcessOptions
        {
            CertificateFile = certificates.Server,
            KeyFile = certificates.ServerKey,
            ClientCaFile = certificates.Authority,
            ClientCertificateFile = certificates.Client,
            ClientKeyFile = certificates.ClientKey,
        };
        await using EtcdProcess etcd = await EtcdProcess.StartAsync(options);
        EtcdOptions without = Options(etcd.Endpoint) with { CaFile = certificates.Authority };
        await using EtcdEngine shown = Engine(without with { CertificateFile = certificates.Client, KeyFile = certificates.ClientKey });
        Assert.True((await shown.JoinAsync(Silo("a"), TimeSpan.FromMinutes(5), Long)).IsOk);
        await using EtcdEngine hidden = Engine(without);
        Assert.Equal(ErrorCode.Unavailable, (await hidden.JoinAsync(Silo("b"), Ttl, Long)).Error?.Code);
    }

    [Fact]
    public void Create_FileThatIsNone_SaysWhich()
    {
        EtcdOptions options = Options(new Uri("https://localhost:2379")) with { CaFile = "/nowhere/ca.pem" };
        KvError error = EtcdEngine.Create(options, new ClusterOptions(), TimeProvider.System).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "etcd.tls"), (error.Code, error.Field));
        Assert.Contains("/nowhere/ca.pem", error.Value, StringComparison.Ordinal);
    }
}
