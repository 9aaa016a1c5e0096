namespace KvTier.Cli;

/// <summary>How a local cluster is to be.</summary>
internal sealed record LocalClusterOptions
{
    /// <summary>Most silos.</summary>
    public const int SilosMax = 32;

    /// <summary>Name of the cluster.</summary>
    public string Name { get; init; } = "local";

    /// <summary>Silos, 1 to <see cref="SilosMax"/>.</summary>
    public int Silos { get; init; } = 3;

    /// <summary>Silos that hold each group.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>Host memory of each silo, as <c>kvtier serve</c> takes it.</summary>
    public string HostBytes { get; init; } = "256MiB";

    /// <summary>Bytes of each silo's log, as <c>kvtier serve</c> takes it.</summary>
    public string SsdBytes { get; init; } = "2GiB";

    /// <summary>First of the ports; 0 for ports that the system chooses.</summary>
    public int PortBase { get; init; }

    /// <summary>A file of options for every silo; null for none.</summary>
    public string? Config { get; init; }

    /// <summary>Port of etcd's clients, of etcd's peers, or of a silo's listener; 0 for one that the system chooses.</summary>
    public int PortOf(int number) => PortBase == 0 ? 0 : PortBase + number;

    /// <summary>Checks every option that <c>kvtier serve</c> does not check.</summary>
    public void OrFail()
    {
        if (Silos is < 1 or > SilosMax) throw CliException.Usage("--silos", Silos, $"1 to {SilosMax}");
        if (Replicas is < 1 or > ClusterSettings.ReplicasMax)
            throw CliException.Usage("--replicas", Replicas, $"1 to {ClusterSettings.ReplicasMax}");
        if (PortBase != 0 && PortBase is < 1024 or > 65_000) throw CliException.Usage("--port-base", PortBase, "0, or 1024 to 65000");
    }
}
