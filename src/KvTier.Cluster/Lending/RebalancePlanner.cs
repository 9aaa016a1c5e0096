namespace KvTier.Cluster;

/// <summary>
/// Plans which groups a silo lends to others and which it gives back, after Infinite-LLM's debtors and creditors. Pure: the same input
/// gives
/// the same plan.
/// </summary>
/// <remarks>
/// A silo above the high watermark is a debtor; one below the low watermark is a creditor, and is never filled above it. Between the two
/// marks nothing
/// happens, so a group that was moved is not soon moved back. Debts have no circles: who owes me groups, even by others, gets none of mine
/// (<see cref="DebtGraph"/>).
/// </remarks>
public static class RebalancePlanner
{
    /// <summary>Most entries in the table of moved groups; every silo and client has it in memory.</summary>
    public const int MovedMax = 1 << 16;

    /// <summary>Makes a plan.</summary>
    /// <param name="map">The map.</param>
    /// <param name="loads">How full each silo is, by name; one that has said nothing neither lends nor borrows.</param>
    /// <param name="groups">The groups that are looked at: those of one silo, or of all. Each once.</param>
    /// <param name="options">The watermarks.</param>
    /// <param name="movesMax">Most moves.</param>
    public static RebalancePlan Plan(
        ClusterMap map, IReadOnlyDictionary<string, SiloLoad> loads, IEnumerable<GroupLoad> groups, ClusterOptions options, int movesMax)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(movesMax);
        var draft = new PlanDraft(map, loads, options, movesMax);
        GroupLoad[] ordered =
        [
            .. groups.Where(group => group.Bytes > 0 && map.OwnerOf(group.Group) >= 0)
                .OrderBy(group => group.ReadsPerSecond).ThenByDescending(group => group.Bytes)
                .ThenBy(group => group.Group.High).ThenBy(group => group.Group.Low),
        ];

        // First back, which frees creditors for those who still need them.
        foreach (GroupLoad group in ordered) draft.TryGiveBack(group);
        foreach (GroupLoad group in ordered) draft.TryLend(group);
        return draft.ToPlan();
    }
}
