using System.Globalization;
using System.Text;
using KvTier.Engine;

namespace KvTier.Silo.Resp;

/// <summary>The text of INFO, with the names that Redis gives to what both have.</summary>
internal static class RespInfo
{
    private static readonly (string Name, Action<StringBuilder, RespServer, EngineStats> Write)[] sections =
    [
        ("Server", Server), ("Clients", Clients), ("Memory", Memory), ("Persistence", Persistence), ("Stats", Stats),
        ("Replication", Replication), ("Keyspace", Keyspace),
    ];

    /// <summary>Writes the sections wanted; all of them when none is named.</summary>
    public static string Write(RespServer server, HashSet<string> wanted)
    {
        bool all = wanted.Count == 0 || wanted.Contains("all") || wanted.Contains("default") || wanted.Contains("everything");
        var text = new StringBuilder();
        EngineStats stats = server.Engine.Stats;
        foreach ((string name, Action<StringBuilder, RespServer, EngineStats> write) in sections)
        {
            if (!all && !wanted.Contains(name)) continue;
            if (text.Length > 0) text.Append("\r\n");
            text.Append("# ").Append(name).Append("\r\n");
            write(text, server, stats);
        }

        return text.ToString();
    }

    private static void Server(StringBuilder text, RespServer server, EngineStats stats)
    {
        long uptime = (long)server.Time.GetElapsedTime(server.Started).TotalSeconds;
        Line(text, "redis_version", "7.0.15");
        Line(text, "redis_mode", "standalone");
        Line(text, "kvtier_version", typeof(RespInfo).Assembly.GetName().Version?.ToString(3) ?? "0");
        Line(text, "process_id", Environment.ProcessId);
        Line(text, "tcp_port", server.Port);
        Line(text, "uptime_in_seconds", uptime);
        Line(text, "uptime_in_days", uptime / 86_400);
    }

    private static void Clients(StringBuilder text, RespServer server, EngineStats stats)
    {
        Line(text, "connected_clients", server.Connections.Count);
        Line(text, "maxclients", server.Limits.ConnectionsMax);
        Line(text, "blocked_clients", 0);
    }

    private static void Memory(StringBuilder text, RespServer server, EngineStats stats)
    {
        Line(text, "used_memory", stats.HostSlotBytes);
        Line(text, "maxmemory", stats.HostCapacityBytes);
        Line(text, "maxmemory_policy", "allkeys-lru");
    }

    private static void Persistence(StringBuilder text, RespServer server, EngineStats stats)
    {
        Line(text, "loading", 0);
        Line(text, "kvtier_ssd_blocks", stats.SsdBlocks);
        Line(text, "kvtier_ssd_bytes", stats.SsdBytes);
        Line(text, "kvtier_dirty_blocks", stats.DirtyBlocks);
    }

    private static void Stats(StringBuilder text, RespServer server, EngineStats stats)
    {
        Line(text, "total_connections_received", server.Counters.Connections);
        Line(text, "total_commands_processed", server.Counters.Commands);
        Line(text, "rejected_connections", server.Counters.Rejected);
        Line(text, "expired_keys", Misses(stats, MissReason.Expired));
        Line(text, "evicted_keys", stats.HostEvictions);
        Line(text, "keyspace_hits", stats.HostHits + stats.SsdHits);
        Line(text, "keyspace_misses", stats.Misses.Sum());
    }

    private static void Replication(StringBuilder text, RespServer server, EngineStats stats)
    {
        Line(text, "role", "master");
        Line(text, "connected_slaves", 0);
    }

    private static void Keyspace(StringBuilder text, RespServer server, EngineStats stats)
    {
        for (int db = 0; db < RespServer.Databases; db++)
        {
            long keys = server.Engine.Count(server.Namespace(db));
            if (keys > 0) text.Append(CultureInfo.InvariantCulture, $"db{db}:keys={keys},expires=0,avg_ttl=0\r\n");
        }
    }

    private static long Misses(EngineStats stats, MissReason reason) => (int)reason < stats.Misses.Count ? stats.Misses[(int)reason] : 0;

    private static void Line(StringBuilder text, string name, string value) => text.Append(name).Append(':').Append(value).Append("\r\n");

    private static void Line(StringBuilder text, string name, long value) => Line(text, name, value.ToString(CultureInfo.InvariantCulture));
}
