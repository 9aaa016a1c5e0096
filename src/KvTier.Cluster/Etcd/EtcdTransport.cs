using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace KvTier.Cluster;

/// <summary>Makes the HTTP client that etcd is spoken to with.</summary>
internal static class EtcdTransport
{
    /// <summary>Makes it; deadlines are the caller's.</summary>
    public static Result<HttpMessageInvoker> Create(EtcdOptions options)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ConnectTimeout = Timeout.InfiniteTimeSpan,
            PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        };
        try
        {
            if (options.CaFile is { } authorities) handler.SslOptions.CertificateChainPolicy = TrustOnly(authorities);
            if (options is { CertificateFile: { } certificate, KeyFile: { } key }) AddCertificate(handler.SslOptions, certificate, key);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            handler.Dispose();
            return new KvError(
                ErrorCode.InvalidArgument, "etcd.tls", e.Message, "readable PEM files: authorities, client certificate and its key");
        }

        return new HttpMessageInvoker(handler);
    }

    private static X509ChainPolicy TrustOnly(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy.CustomTrustStore.Count > 0 ? policy : throw new CryptographicException($"{file} has no certificate");
    }

    private static void AddCertificate(SslClientAuthenticationOptions ssl, string certificate, string key) =>
        ssl.ClientCertificates = [X509Certificate2.CreateFromPemFile(certificate, key)];
}
