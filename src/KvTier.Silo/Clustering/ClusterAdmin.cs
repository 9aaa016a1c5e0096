using System.Globalization;
using System.Text.Json;
using KvTier.Cluster;

namespace KvTier.Silo.Clustering;

/// <summary>
/// What operators ask of the cluster through any of its silos: each is one change of the map, made again when another came first.
/// </summary>
internal sealed class ClusterAdmin(IMembership membership, ClusterNode node, Rebalancer rebalancer, TimeProvider time)
{
    private static readonly string[] verbs = ["drain", "undrain", "move", "rebalance", "replicas"];

    /// <summary>Does what a verb says.</summary>
    /// <param name="verb">One of <c>drain SILO</c>, <c>undrain SILO</c>, <c>move GROUP SILO</c>, <c>rebalance [--dry-run]</c>,
    /// <c>replicas NAMESPACE COUNT</c>.</param>
    /// <param name="arguments">What follows it.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>What became of it as JSON, or why it can't be.</returns>
    public async ValueTask<Result<string>> DoAsync(string verb, IReadOnlyList<string> arguments, TimeSpan deadline)
    {
        switch (verb, arguments.Count)
        {
            case ("drain" or "undrain", 1):
                return await ChangeAsync(map => SetDraining(map, arguments[0], verb == "drain"), deadline);
            case ("replicas", 2):
                return await ChangeAsync(map => SetReplicas(map, arguments[0], arguments[1]), deadline);
            case ("move", 2):
                return await MoveAsync(arguments[0], arguments[1], deadline);
            case ("rebalance", <= 2) when arguments.All(argument => argument is "--dry-run" or Rebalancer.HereOnly):
                return await rebalancer.RunAsync(arguments.Contains("--dry-run"), arguments.Contains(Rebalancer.HereOnly), deadline);
            default:
                return KvError.InvalidArgument("cluster.verb", $"{verb} {string.Join(' ', arguments)}".TrimEnd(),
                    verbs.Contains(verb) ? Usage(verb) : string.Join(", ", verbs));
        }
    }

    private static string Usage(string verb) => verb switch
    {
        "move" => "move GROUP SILO",
        "rebalance" => "rebalance [--dry-run]",
        "replicas" => "replicas TENANT/PROFILE COUNT, or replicas default COUNT",
        _ => $"{verb} SILO",
    };

    private static Result<ClusterChange?> SetDraining(ClusterMap map, string silo, bool draining)
    {
        int index = map.IndexOf(silo);
        if (index < 0) return UnknownSilo(map, silo);
        if (map.Silos[index].Draining == draining) return (ClusterChange?)null;
        if (draining && map.Silos.Count(each => !each.Draining) == 1)
            return KvError.InvalidArgument("silo", silo, "one beside which another takes groups: the last one can't give its away");
        return new ClusterChange(map.Epoch)
        {
            Silos = [.. map.Silos.Select((each, i) => i == index ? each with { Draining = draining } : each)],
        };
    }

    private static Result<ClusterChange?> SetReplicas(ClusterMap map, string ns, string count)
    {
        if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int replicas)
            || replicas is < 1 or > ClusterSettings.ReplicasMax)
            return KvError.InvalidArgument("replicas", count, $"1 to {ClusterSettings.ReplicasMax}");
        ClusterSettings settings = map.Settings;
        if (ns == "default")
        {
            return settings.Replicas == replicas
                ? (ClusterChange?)null
                : new ClusterChange(map.Epoch) { Settings = settings with { Replicas = replicas } };
        }

        if (ns.Split('/') is not [var tenant, var profile] || !Names.IsValid(tenant) || !Names.IsValid(profile))
            return KvError.InvalidArgument("namespace", ns, "tenant/profile, or default");
        if (settings.NamespaceReplicas.TryGetValue(ns, out int known) && known == replicas) return (ClusterChange?)null;
        var all = new Dictionary<string, int>(settings.NamespaceReplicas, StringComparer.Ordinal) { [ns] = replicas };
        return new ClusterChange(map.Epoch) { Settings = settings with { NamespaceReplicas = all } };
    }

    private static KvError UnknownSilo(ClusterMap map, string silo) =>
        KvError.InvalidArgument("silo", silo, "one of " + string.Join(", ", map.Silos.Select(each => each.Name)));

    private async ValueTask<Result<string>> ChangeAsync(Func<ClusterMap, Result<ClusterChange?>> propose, TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        while (true)
        {
            if (!propose(membership.State.Map).TryGet(out ClusterChange? change, out KvError? error)) return error;
            if (change is null) return Done(membership.State.Map.Epoch, changed: false);
            TimeSpan left = deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero) return new KvError(ErrorCode.DeadlineExceeded, "cluster.change", "not made", "more time");
            Result<ClusterState> made = await membership.CommitAsync(change, left);
            if (made.TryGet(out ClusterState? state, out error)) return Done(state.Map.Epoch, changed: true);
            if (error.Code != ErrorCode.Conflict) return error;
        }
    }

    private async ValueTask<Result<string>> MoveAsync(string text, string silo, TimeSpan deadline)
    {
        if (!TryParse(text, out BlockId group))
            return KvError.InvalidArgument("group", text, "32 hexadecimal digits, the id of the group's first block");
        if (membership.State.Map.IndexOf(silo) < 0) return UnknownSilo(membership.State.Map, silo);
        return await node.MoveAsync(group, silo, deadline) is { } error ? error : Done(membership.State.Map.Epoch, changed: true);
    }

    private static bool TryParse(string text, out BlockId group)
    {
        group = default;
        if (text.Length != 2 * BlockId.SizeBytes
            || !ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong high)
            || !ulong.TryParse(text.AsSpan(16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong low))
            return false;
        group = new BlockId(high, low);
        return true;
    }

    private static string Done(long epoch, bool changed) => JsonSerializer.Serialize(
        new Dictionary<string, JsonElement>
        {
            ["epoch"] = JsonSerializer.SerializeToElement(epoch, ClusterJson.Default.Int64),
            ["changed"] = JsonSerializer.SerializeToElement(changed, ClusterJson.Default.Boolean),
        },
        ClusterJson.Default.DictionaryStringJsonElement);
}
