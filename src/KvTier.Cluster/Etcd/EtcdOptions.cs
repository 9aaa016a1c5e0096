namespace KvTier.Cluster;

/// <summary>Where etcd is and how to be let in.</summary>
public sealed record EtcdOptions
{
    /// <summary>Most endpoints.</summary>
    public const int EndpointsMax = 16;

    /// <summary>
    /// Client endpoints, <c>http://host:port</c> or <c>https://host:port</c>; one that fails is left for the next. At least one.
    /// </summary>
    public required IReadOnlyList<Uri> Endpoints { get; init; }

    /// <summary>Begin of all keys of the cluster. One prefix holds one cluster. Default <c>/kvtier</c>.</summary>
    public string Prefix { get; init; } = "/kvtier";

    /// <summary>User, where etcd requires authentication; null for none.</summary>
    public string? User { get; init; }

    /// <summary>The user's password.</summary>
    public string? Password { get; init; }

    /// <summary>PEM file with the authorities that etcd's certificate is checked against; null for the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file with this silo's client certificate; null for none.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the key of the client certificate.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Longest that the watch may say nothing before it is looked whether it still works. Default 5 s.</summary>
    public TimeSpan WatchSilence { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Reads the endpoints of a text: addresses with commas in between, each with or without a scheme; none means http.</summary>
    public static Result<IReadOnlyList<Uri>> ParseEndpoints(string text)
    {
        var endpoints = new List<Uri>();
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string address = part.Contains("://", StringComparison.Ordinal) ? part : "http://" + part;
            if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? endpoint) || !IsEndpoint(endpoint))
                return KvError.InvalidArgument("cluster.etcd", part, "http://host:port or https://host:port");
            endpoints.Add(endpoint);
        }

        return endpoints.Count is > 0 and <= EndpointsMax
            ? endpoints
            : KvError.InvalidArgument("cluster.etcd", text, $"1 to {EndpointsMax} addresses with commas in between");
    }

    /// <summary>Checks every option but the files, which are read when the engine is made.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (Endpoints.Count is 0 or > EndpointsMax)
            return KvError.InvalidArgument("cluster.etcd", Endpoints.Count, $"1 to {EndpointsMax}");
        foreach (Uri endpoint in Endpoints)
        {
            if (!IsEndpoint(endpoint)) return KvError.InvalidArgument("cluster.etcd", endpoint, "http://host:port or https://host:port");
        }

        if (Prefix.Length is < 2 or > 256 || Prefix[0] != '/' || Prefix[^1] == '/')
            return KvError.InvalidArgument("cluster.etcdPrefix", Prefix, "/ and 1 to 255 characters, without a / at the end");
        if (User is null != Password is null)
            return KvError.InvalidArgument("cluster.etcdPassword", Password is null ? null : "given", "a user and a password, or neither");
        if (CertificateFile is null != KeyFile is null)
            return KvError.InvalidArgument("cluster.etcdKey", KeyFile, "a certificate and its key, or neither");
        if (Endpoints.All(endpoint => endpoint.Scheme == Uri.UriSchemeHttp) && (CaFile ?? CertificateFile) is { } file)
            return KvError.InvalidArgument("cluster.etcd", Endpoints[0], $"https://…, for {file} has no use without TLS");
        return WatchSilence >= TimeSpan.FromMilliseconds(100)
            ? null : KvError.InvalidArgument("etcd.watchSilence", WatchSilence, "100 ms or more");
    }

    private static bool IsEndpoint(Uri endpoint) =>
        endpoint.IsAbsoluteUri && (endpoint.Scheme == Uri.UriSchemeHttp || endpoint.Scheme == Uri.UriSchemeHttps)
        && endpoint.Host.Length > 0 && endpoint.AbsolutePath == "/" && endpoint.UserInfo.Length == 0;
}
