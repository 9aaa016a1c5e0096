namespace KvTier.Cluster.Tests;

public sealed class EtcdOptionsTests
{
    private static readonly EtcdOptions plain = new() { Endpoints = [new Uri("http://a:2379")] };

    [Fact]
    public void ParseEndpoints_ListOfAddresses_TakesHttpWhereNothingIsSaid() =>
        Assert.Equal(
            [new Uri("http://a:2379"), new Uri("https://b:1"), new Uri("http://[::1]:2")],
            EtcdOptions.ParseEndpoints("a:2379, https://b:1,http://[::1]:2").Value);

    [Theory]
    [InlineData("")]
    [InlineData("ftp://a:1")]
    [InlineData("http://a:1/path")]
    [InlineData("http://user@a:1")]
    public void ParseEndpoints_WhatIsNone_IsRefused(string text) =>
        Assert.Equal("cluster.etcd", EtcdOptions.ParseEndpoints(text).Error?.Field);

    [Fact]
    public void Validate_WhatDoesNotGoTogether_NamesTheField()
    {
        Assert.Null(plain.Validate());
        Assert.Equal("cluster.etcd", (plain with { Endpoints = [] }).Validate()?.Field);
        Assert.Equal("cluster.etcdPrefix", (plain with { Prefix = "kvtier/" }).Validate()?.Field);
        Assert.Equal("cluster.etcdPassword", (plain with { User = "u" }).Validate()?.Field);
        Assert.Equal("cluster.etcd", (plain with { CaFile = "ca.pem" }).Validate()?.Field);
        EtcdOptions tls = plain with { Endpoints = [new Uri("https://a:1")], CaFile = "ca.pem", CertificateFile = "c.pem" };
        Assert.Equal("cluster.etcdKey", tls.Validate()?.Field);
        Assert.Null((tls with { KeyFile = "k.pem" }).Validate());
    }
}
