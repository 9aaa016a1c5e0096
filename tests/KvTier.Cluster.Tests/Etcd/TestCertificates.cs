using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvTier.Testing;

namespace KvTier.Cluster.Tests;

/// <summary>An authority of our own, a certificate for a server on the loopback and one for a client, as PEM files.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly TempDirectory folder = new();

    public TestCertificates()
    {
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test authority", authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        using X509Certificate2 authority = request.CreateSelfSigned(Begin, Begin.AddDays(30));
        File.WriteAllText(Authority, authority.ExportCertificatePem());
        Issue(authority, "server", "1.3.6.1.5.5.7.3.1");
        Issue(authority, "client", "1.3.6.1.5.5.7.3.2");
    }

    public string Authority => folder["authority.pem"];

    public string Server => folder["server.pem"];

    public string ServerKey => folder["server.key"];

    public string Client => folder["client.pem"];

    public string ClientKey => folder["client.key"];

    private static DateTimeOffset Begin => DateTimeOffset.UtcNow.AddDays(-1);

    public void Dispose() => folder.Dispose();

    private void Issue(X509Certificate2 authority, string name, string usage)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        // etcd's gateway is a client of its own server and shows the server's certificate, so that one is for clients too.
        var usages = new OidCollection { new Oid(usage), new Oid("1.3.6.1.5.5.7.3.2") };
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, false));
        byte[] serial = RandomNumberGenerator.GetBytes(8);
        using X509Certificate2 issued = request.Create(authority, Begin.AddMinutes(1), Begin.AddDays(20), serial);
        File.WriteAllText(folder[name + ".pem"], issued.ExportCertificatePem());
        File.WriteAllText(folder[name + ".key"], key.ExportPkcs8PrivateKeyPem());
    }
}
