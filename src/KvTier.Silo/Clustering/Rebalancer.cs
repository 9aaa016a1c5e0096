using System.Text.Json;
using System.Text.Json.Serialization;
using KvTier.Cluster;

namespace KvTier.Silo.Clustering;

/// <summary>
/// Has groups lent and given back at an operator's word, by the plan that a silo follows by itself. Each silo plans for itself, as only it
/// knows its groups; the one that is asked asks the others.
/// </summary>
internal sealed class Rebalancer(IMembership membership, ClusterNode node, WirePeers peers, TimeProvider time)
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
        RebalancePlan plan = await node.PlanRebalanceAsync(MovesMax);
        foreach (PlannedMove move in plan.Moves) answer.Moves.Add(await MoveAsync(move, dryRun, Left(start, deadline)));
        if (!here) await AskOthersAsync(answer, dryRun, start, deadline);
        answer.Epoch = membership.State.Map.Epoch;
        return JsonSerializer.Serialize(answer, RebalanceJson.Default.RebalanceAnswer);
    }

    private async ValueTask<RebalanceMove> MoveAsync(PlannedMove planned, bool dryRun, TimeSpan deadline)
    {
        var move = new RebalanceMove(planned.Group.ToString(), planned.From, planned.To, planned.Bytes, planned.Why);
        KvError? error = dryRun ? null : await node.MoveAsync(planned.Group, planned.To, deadline);
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
/// <param name="Why">Why it goes.</param>
internal sealed record RebalanceMove(string Group, string From, string To, long Bytes, string Why)
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
