namespace KvTier.Silo;

/// <summary>Checks what must agree between the options of a silo in a cluster.</summary>
internal static class SiloClusterCheck
{
    private const string Reachable = "an address at which the other silos reach this one";

    /// <summary>Checks the options; outside of a cluster there is nothing to agree.</summary>
    /// <returns>Null, or the first error.</returns>
    public static KvError? Check(SiloOptions options)
    {
        SiloClusterSettings cluster = options.Cluster;
        if (!cluster.IsOn) return null;
        if (!options.Tcp) return KvError.InvalidArgument("tcp", "false", "true in a cluster: other silos and clients connect by TCP");
        if (cluster.ToClusterOptions().Validate() is { } invalid) return invalid;
        bool everybodyHere = cluster.Etcd.All(url => HostPort.IsLoopback(new Uri(url).Host));
        return CheckAdvertised("cluster.advertise", cluster.Advertise, "address", options.Address, everybodyHere)
            ?? (options.Resp.Enabled
                ? CheckAdvertised("cluster.respAdvertise", cluster.RespAdvertise, "resp.address", options.Resp.Address, everybodyHere)
                : null)
            ?? CheckCredentials(cluster);
    }

    /// <summary>True for the URL of a member of etcd.</summary>
    public static bool IsEtcdUrl(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https"
        && url is { PathAndQuery: "/", Fragment: "", UserInfo: "" };

    private static KvError? CheckAdvertised(string option, string? advertised, string listener, string address, bool everybodyHere)
    {
        if (advertised is null && HostPort.IsAny(address))
            return KvError.InvalidArgument(option, "missing", $"{Reachable}, as {listener} is {address}");
        string host = address;
        if (advertised is not null && !HostPort.TryParse(advertised, out host, out _))
            return KvError.InvalidArgument(option, advertised, Reachable);
        if (HostPort.IsAny(host)) return KvError.InvalidArgument(option, advertised, Reachable);
        return HostPort.IsLoopback(host) && !everybodyHere
            ? KvError.InvalidArgument(option, advertised ?? host, $"{Reachable}; etcd is on another machine")
            : null;
    }

    private static KvError? CheckCredentials(SiloClusterSettings cluster)
    {
        if (cluster.EtcdUser is not null && cluster.EtcdPassword is null)
            return KvError.InvalidArgument("cluster.etcdPassword", "missing", $"the password of {cluster.EtcdUser}");
        if (cluster.EtcdPassword is not null && cluster.EtcdUser is null)
            return KvError.InvalidArgument("cluster.etcdUser", "missing", "the user whose password is given");
        bool tls = cluster.Etcd.All(url => url.StartsWith("https:", StringComparison.OrdinalIgnoreCase));
        if (!tls && (cluster.EtcdCa ?? cluster.EtcdCert ?? cluster.EtcdKey) is { } file)
            return KvError.InvalidArgument("cluster.etcd", string.Join(',', cluster.Etcd), $"https URLs, as {file} is to be used");
        if ((cluster.EtcdCert is null) != (cluster.EtcdKey is null))
            return KvError.InvalidArgument(cluster.EtcdCert is null ? "cluster.etcdCert" : "cluster.etcdKey", "missing",
                "certificate and key together");
        return CheckFile("cluster.etcdCa", cluster.EtcdCa) ?? CheckFile("cluster.etcdCert", cluster.EtcdCert)
            ?? CheckFile("cluster.etcdKey", cluster.EtcdKey);
    }

    private static KvError? CheckFile(string option, string? path) =>
        path is null || File.Exists(path) ? null : KvError.InvalidArgument(option, path, "a file that is there");
}
