using System.Text.Json;
using System.Text.Json.Serialization;
using KvTier.Cluster;
using KvTier.Engine;

namespace KvTier.Silo.Clustering;

/// <summary>
/// Lends groups: a silo above its high watermark moves its largest ones to silos below their low one, until it is half way between. Each
/// silo plans for itself, as only it knows its groups; the one that is asked asks the others.
/// </summary>
internal sealed class Rebalancer(
    ClusterOptions options, IMembership membership, ClusterNode node, WirePeers peers, BlockEngine engine, TimeProvider time)
{
    /// <summary>The argument of a silo that asks another one to plan for itself.</summary>
    public const string HereOnly = "--here";

    /// <summary>Most moves of one silo in one go.</summary>
    private const int MovesMax = 256;

    /// <summary>Plans, and moves unless it is only to be said what would be.</summary>
    /// <param name="dryRun">True to move nothing.</param>
    /// <param name="here">True to plan for this silo only.</param>
    /// <param name="deadline">Time for all of it.</param>
    public async ValueTask<Result<string>> RunAsync(bool dryRun, bool here, TimeSpan deadline)
    {
        long start = time.GetTimestamp();
        var answer = new RebalanceAnswer { DryRun = dryRun };
        foreach (RebalanceMove move in Plan()) answer.Moves.Add(dryRun ? move : await MoveAsync(move, Left(start, deadline)));
        if (!here) await AskOthersAsync(answer, dryRun, start, deadline);
        answer.Epoch = membership.State.Map.Epoch;
        return JsonSerializer.Serialize(answer, RebalanceJson.Default.RebalanceAnswer);
    }

    /// <summary>Chooses the groups of this silo that go, and where to.</summary>
    private List<RebalanceMove> Plan()
    {
        ClusterState state = membership.State;
        ClusterMap map = state.Map;
        int self = map.IndexOf(membership.Self.Name);
        var moves = new List<RebalanceMove>();
        if (self < 0 || map.Silos.Count == 1) return moves;
        long used = engine.UsedBytes, capacity = map.Silos[self].CapacityBytes;
        if (used <= options.HighWatermark * capacity) return moves;
        double goal = (options.HighWatermark + options.LowWatermark) / 2 * capacity;
        var fill = map.Silos.Select(silo => (double)(state.Loads.GetValueOrDefault(silo.Name)?.UsedBytes ?? 0)).ToArray();
        foreach ((BlockId group, long bytes) in OwnGroups(map, self))
        {
            if (used <= goal || moves.Count == MovesMax) break;
            int to = Roomiest(map, fill, self, bytes);
            if (to < 0) continue;
            moves.Add(new RebalanceMove(group.ToString(), map.Silos[self].Name, map.Silos[to].Name, bytes));
            fill[to] += bytes;
            used -= bytes;
        }

        return moves;
    }

    /// <summary>The groups that this silo owns, the largest first.</summary>
    private List<(BlockId Group, long Bytes)> OwnGroups(ClusterMap map, int self)
    {
        var bytes = new Dictionary<BlockId, long>();
        Span<EngineGroup> found = stackalloc EngineGroup[256];
        long cursor = 0;
        do
        {
            cursor = engine.WalkGroups(cursor, found, out int count);
            foreach (EngineGroup group in found[..count])
            {
                // Values that change are moved by hashing alone.
                if (engine.Namespaces[group.Namespace].IsMutable) continue;
                bytes[group.Group] = Math.Max(bytes.GetValueOrDefault(group.Group), group.Bytes);
            }
        }
        while (cursor != 0);
        return [.. bytes.Where(each => map.OwnerOf(each.Key) == self).OrderByDescending(each => each.Value).Take(4 * MovesMax)
            .Select(each => (each.Key, each.Value))];
    }

    private int Roomiest(ClusterMap map, double[] fill, int self, long bytes)
    {
        int best = -1;
        for (int i = 0; i < fill.Length; i++)
        {
            long capacity = map.Silos[i].CapacityBytes;
            if (i == self || map.Silos[i].Draining || fill[i] + bytes > options.LowWatermark * capacity) continue;
            if (best < 0 || fill[i] / capacity < fill[best] / map.Silos[best].CapacityBytes) best = i;
        }

        return best;
    }

    private async ValueTask<RebalanceMove> MoveAsync(RebalanceMove move, TimeSpan deadline)
    {
        ulong high = Convert.ToUInt64(move.Group[..16], 16), low = Convert.ToUInt64(move.Group[16..], 16);
        KvError? error = await node.MoveAsync(new BlockId(high, low), move.To, deadline);
        return error is null ? move : move with { Error = error.Message };
    }

    private async ValueTask AskOthersAsync(RebalanceAnswer answer, bool dryRun, long start, TimeSpan deadline)
    {
        string[] arguments = dryRun ? ["--dry-run", HereOnly] : [HereOnly];
        foreach (SiloEntry silo in membership.State.Map.Silos.Where(silo => silo.Name != membership.Self.Name))
        {
            Result<string> asked = await peers.AdminAsync(silo, "rebalance", arguments, Left(start, deadline));
            if (asked.TryGet(out string? json, out KvError? error))
                answer.Moves.AddRange(JsonSerializer.Deserialize(json, RebalanceJson.Default.RebalanceAnswer)!.Moves);
            else answer.Unasked[silo.Name] = error.Message;
        }
    }

    private TimeSpan Left(long start, TimeSpan deadline)
    {
        TimeSpan left = deadline - time.GetElapsedTime(start);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }
}

/// <summary>A group that is moved, or would be.</summary>
/// <param name="Group">The group in hexadecimal digits.</param>
/// <param name="From">The silo that has it.</param>
/// <param name="To">The silo that gets it.</param>
/// <param name="Bytes">Bytes of its blocks.</param>
internal sealed record RebalanceMove(string Group, string From, string To, long Bytes)
{
    /// <summary>Why it was not moved; empty when it was, or would be.</summary>
    public string Error { get; init; } = "";
}

/// <summary>What became of a rebalance.</summary>
internal sealed class RebalanceAnswer
{
    /// <summary>True when nothing was moved.</summary>
    public bool DryRun { get; set; }

    /// <summary>Epoch of the map after it.</summary>
    public long Epoch { get; set; }

    /// <summary>The moves.</summary>
    public List<RebalanceMove> Moves { get; set; } = [];

    /// <summary>Silos that could not be asked, and why.</summary>
    public Dictionary<string, string> Unasked { get; set; } = [];
}

/// <summary>Generated JSON code.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RebalanceAnswer))]
internal sealed partial class RebalanceJson : JsonSerializerContext;
