namespace KvTier.Cli;

/// <summary>A cluster on this machine that <c>kvtier cluster up</c> started, as far as it came.</summary>
internal sealed record LocalCluster
{
    /// <summary>Name of the cluster.</summary>
    public required string Name { get; init; }

    /// <summary>True when <c>up</c> came to its end.</summary>
    public bool Complete { get; init; }

    /// <summary>The etcd; null before it was started.</summary>
    public LocalEtcd? Etcd { get; init; }

    /// <summary>The silos that were started.</summary>
    public IReadOnlyList<LocalSilo> Silos { get; init; } = [];
}

/// <summary>The etcd of a local cluster.</summary>
/// <param name="Endpoint">Where clients reach it.</param>
/// <param name="Process">Its process.</param>
internal sealed record LocalEtcd(Uri Endpoint, ProcessIdentity Process);

/// <summary>A silo of a local cluster.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Process">Its process.</param>
/// <param name="Endpoints">Where it listens, by protocol; empty before it was ready.</param>
internal sealed record LocalSilo(string Name, ProcessIdentity Process, IReadOnlyDictionary<string, string> Endpoints);
