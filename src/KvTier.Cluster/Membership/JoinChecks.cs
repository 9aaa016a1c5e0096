namespace KvTier.Cluster;

/// <summary>Why a silo may not join a cluster, with what to do about it.</summary>
internal static class JoinChecks
{
    /// <summary>Looks at what the engine knows before anything is changed.</summary>
    /// <returns>Null when the silo may join.</returns>
    public static KvError? Check(ClusterOptions options, SiloEntry self, ClusterState state)
    {
        if (state.Map.Cluster != options.Cluster)
            return new KvError(ErrorCode.VersionMismatch, "cluster.name", options.Cluster, $"{state.Map.Cluster}, the name it has");
        if (state.Map.IndexOf(self.Name) < 0 && state.Map.Silos.Count >= ClusterMap.SilosMax)
            return KvError.LimitExceeded("cluster.silos", state.Map.Silos.Count + 1, ClusterMap.SilosMax);
        foreach (SiloEntry silo in state.Map.Silos)
        {
            if (silo.Name == self.Name) continue;
            if (silo.Protocol != self.Protocol)
                return Differs("protocol", self.Protocol, silo.Protocol, silo);
            if (silo.DiskFormat != self.DiskFormat)
                return Differs("diskFormat", self.DiskFormat, silo.DiskFormat, silo);
            if (self.DataId.Length > 0 && silo.DataId == self.DataId)
                return new KvError(
                    ErrorCode.Conflict, "log.directory", self.DataId, $"a data directory of its own; silo {silo.Name} has this one");
        }

        return null;
    }

    /// <summary>The engine knows less than the silo does: it was set up anew, or another one answers.</summary>
    public static KvError EngineWentBack(long found, long known) =>
        new(ErrorCode.Unavailable, "cluster.epoch", $"{found}", $"{known} or later; if the engine has lost its data, restart all silos");

    /// <summary>The engine knows less than an earlier start of the silo did: it was set up anew.</summary>
    public static KvError EngineForgot(long found, long known) => new(
        ErrorCode.Unavailable, "cluster.epoch", $"{found}",
        $"{known}, which this silo knew before, or later; as the engine has lost its data, it waits until others have stopped");

    /// <summary>Members that did not answer: alive ones will, others are removed by the members that are alive.</summary>
    public static KvError Silent(ClusterState state, IReadOnlyList<SiloEntry> silent)
    {
        string names = string.Join(", ", silent.Select(silo => silo.Name));
        bool anyAlive = state.Map.Silos.Any(silo => state.Alive.Any(alive => alive.Name == silo.Name));
        return anyAlive
            ? new KvError(ErrorCode.Unavailable, "cluster.silos", $"{names} (no answer)", "that every member answers")
            : new KvError(
                ErrorCode.Conflict, "cluster.silos", $"{names} (no lease and no answer)",
                "start one of them again under its name, or use another cluster name: nobody else can say that they have stopped");
    }

    private static KvError Differs(string field, int mine, int theirs, SiloEntry silo) =>
        new(ErrorCode.VersionMismatch, field, $"{mine}", $"{theirs}, as silo {silo.Name} of the cluster has; run the same version");
}
