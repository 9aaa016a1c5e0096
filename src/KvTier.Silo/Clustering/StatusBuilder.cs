using KvTier.Cluster;

namespace KvTier.Silo.Clustering;

/// <summary>Makes the answer to ClusterStatus of what the engine said last.</summary>
internal static class StatusBuilder
{
    /// <summary>Makes the answer.</summary>
    /// <param name="self">Name of this silo.</param>
    /// <param name="state">The newest state.</param>
    /// <param name="mayWrite">True while this silo may change things as the owner.</param>
    /// <param name="problem">Why it is no member, or that the engine can't be reached; null while all is well.</param>
    /// <param name="counters">This silo's figures.</param>
    public static ClusterStatus Build(
        string self, ClusterState state, bool mayWrite, KvError? problem, IReadOnlyDictionary<string, long> counters)
    {
        ClusterMap map = state.Map;
        return new ClusterStatus
        {
            Cluster = map.Cluster,
            Self = self,
            Epoch = map.Epoch,
            MembersEpoch = map.MembersEpoch,
            MayWrite = mayWrite,
            Problem = problem?.Message,
            Replicas = map.Settings.Replicas,
            NamespaceReplicas = map.Settings.NamespaceReplicas,
            Silos = ListSilos(state),
            MovedGroups = map.Moved.Count,
            Moved = map.Moved.OrderBy(each => each.Key.ToString(), StringComparer.Ordinal).Take(ClusterStatus.MovedListed)
                .ToDictionary(each => each.Key.ToString(), each => each.Value, StringComparer.Ordinal),
            Counters = counters,
        };
    }

    /// <summary>Part of all groups that hashing gives a silo: its part of the capacity of all that hold groups.</summary>
    public static double ShareOf(ClusterMap map, SiloEntry silo)
    {
        bool allDrain = map.Silos.All(each => each.Draining);
        if (silo.Draining && !allDrain) return 0;
        double all = map.Silos.Where(each => allDrain || !each.Draining).Sum(static each => (double)Math.Max(1, each.CapacityBytes));
        return Math.Max(1, silo.CapacityBytes) / all;
    }

    private static List<ClusterStatusSilo> ListSilos(ClusterState state)
    {
        var alive = state.Alive.ToDictionary(silo => silo.Name, StringComparer.Ordinal);
        var silos = state.Map.Silos.Select(silo => Describe(state, silo, isMember: true, alive.ContainsKey(silo.Name))).ToList();
        silos.AddRange(state.Alive.Where(silo => state.Map.IndexOf(silo.Name) < 0)
            .Select(silo => Describe(state, silo, isMember: false, isAlive: true)));
        return silos;
    }

    private static ClusterStatusSilo Describe(ClusterState state, SiloEntry silo, bool isMember, bool isAlive)
    {
        SiloLoad load = state.Loads.GetValueOrDefault(silo.Name) ?? new SiloLoad();
        return new ClusterStatusSilo
        {
            Name = silo.Name,
            Endpoint = silo.Endpoint,
            RespEndpoint = silo.RespEndpoint,
            HttpEndpoint = silo.HttpEndpoint,
            Zone = silo.Zone,
            Member = isMember,
            Alive = isAlive,
            Draining = silo.Draining,
            Settled = isMember && load.SettledEpoch >= state.Map.MembersEpoch,
            SettledEpoch = load.SettledEpoch,
            JoinedEpoch = silo.JoinedEpoch,
            CapacityBytes = silo.CapacityBytes,
            Share = isMember ? ShareOf(state.Map, silo) : 0,
            UsedBytes = load.UsedBytes,
            HostBytes = load.HostBytes,
            Blocks = load.Blocks,
            RequestsPerSecond = load.RequestsPerSecond,
        };
    }
}
