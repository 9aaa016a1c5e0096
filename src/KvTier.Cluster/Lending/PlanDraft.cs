namespace KvTier.Cluster;

/// <summary>A plan in the making: how full every silo will be, who owes whom, and what is moved so far.</summary>
internal sealed class PlanDraft
{
    private readonly ClusterMap map;
    private readonly int movesMax;
    private readonly long[] capacity;
    private readonly long[] high;
    private readonly long[] low;
    private readonly long[] before;
    private readonly long[] used;
    private readonly bool[] known;
    private readonly DebtGraph debts;
    private readonly List<PlannedMove> moves = [];
    private readonly HashSet<BlockId> moved = [];
    private int entries;

    public PlanDraft(ClusterMap map, IReadOnlyDictionary<string, SiloLoad> loads, ClusterOptions options, int movesMax)
    {
        this.map = map;
        this.movesMax = movesMax;
        capacity = [.. map.Silos.Select(silo => silo.CapacityBytes)];
        high = [.. capacity.Select(bytes => (long)(bytes * options.HighWatermark))];
        low = [.. capacity.Select(bytes => (long)(bytes * options.LowWatermark))];
        before = [.. map.Silos.Select(silo => loads.GetValueOrDefault(silo.Name)?.UsedBytes ?? 0)];
        used = [.. before];
        known = [.. map.Silos.Select(silo => loads.ContainsKey(silo.Name))];
        debts = new DebtGraph(map);
        entries = map.Moved.Count;
    }

    public RebalancePlan ToPlan() => new(
        map.Epoch, moves, [.. map.Silos.Select((silo, i) => new SiloOutlook(silo.Name, silo.CapacityBytes, before[i], used[i]))]);

    /// <summary>
    /// Gives a group back to its home when its creditor is above its low watermark and the home has room below its own; or when that
    /// relieves a debtor and makes none.
    /// </summary>
    public void TryGiveBack(in GroupLoad group)
    {
        if (IsFull || !map.Moved.ContainsKey(group.Group) || moved.Contains(group.Group)) return;
        int owner = map.OwnerOf(group.Group);
        int home = map.HomeOf(group.Group);
        if (home == owner || home < 0 || !IsOpen(home) || !IsWantedBack(owner)) return;
        if (FindShift(group, home) is not { } shift) return;
        long limit = shift.Relieved >= 0 && used[shift.Relieved] > high[shift.Relieved] ? high[shift.Taker] : low[shift.Taker];
        if (!IsOpen(shift.Taker) || used[shift.Taker] + shift.Bytes > limit) return;
        debts.Remove(home, owner);
        Move(group, owner, home, shift, MoveReason.GiveBack);
        entries--;
    }

    /// <summary>Lends a group of which a debtor holds a copy to the creditor that has most room.</summary>
    public void TryLend(in GroupLoad group)
    {
        if (IsFull || moved.Contains(group.Group)) return;
        int owner = map.OwnerOf(group.Group);
        int home = map.HomeOf(group.Group);
        bool isEntry = map.Moved.ContainsKey(group.Group);
        if (!isEntry && entries >= RebalancePlanner.MovedMax) return;
        int creditor = -1;
        Shift best = default;
        for (int i = 0; i < used.Length; i++)
        {
            if (i == home || !IsCreditor(i)) continue;
            if (FindShift(group, i) is not { Bytes: > 0 } shift || shift.Taker != i || shift.Relieved < 0) continue;
            if (!known[shift.Relieved] || used[shift.Relieved] <= high[shift.Relieved] || used[i] + shift.Bytes > low[i]) continue;
            if (!debts.MayOwe(home, i) || (creditor >= 0 && Room(i) <= Room(creditor))) continue;
            (creditor, best) = (i, shift);
        }

        if (creditor < 0) return;
        if (isEntry && owner != home) debts.Remove(home, owner);
        else entries++;
        debts.Add(home, creditor);
        Move(group, owner, creditor, best, MoveReason.Lend);
    }

    /// <summary>
    /// True when a creditor could do with the room. Before that a group stays where it is: who moved it may have had a reason. Also when
    /// the table of moved groups is half full.
    /// </summary>
    private bool IsWantedBack(int creditor) =>
        (known[creditor] && used[creditor] > low[creditor]) || entries > RebalancePlanner.MovedMax / 2;

    private bool IsFull => moves.Count >= movesMax;

    private double Room(int silo) => (double)(low[silo] - used[silo]) / Math.Max(1, capacity[silo]);

    private bool IsOpen(int silo) => known[silo] && !map.Silos[silo].Draining;

    private bool IsCreditor(int silo) => IsOpen(silo) && used[silo] < low[silo];

    private void Move(in GroupLoad group, int from, int to, Shift shift, MoveReason reason)
    {
        if (shift.Relieved >= 0) used[shift.Relieved] -= shift.Bytes;
        used[shift.Taker] += shift.Bytes;
        moved.Add(group.Group);
        string relieved = map.Silos[shift.Relieved >= 0 ? shift.Relieved : from].Name;
        moves.Add(new PlannedMove(group.Group, map.Silos[from].Name, map.Silos[to].Name, shift.Bytes, relieved, reason));
    }

    /// <summary>
    /// Whose bytes go where when a group gets another owner: the new one is first among the holders, so the last of the others drops out.
    /// Nothing is copied to an owner that held it already.
    /// </summary>
    /// <returns>Null when more than one silo would have to take it.</returns>
    private Shift? FindShift(in GroupLoad group, int to)
    {
        int copies = Math.Clamp(group.Copies, 1, ClusterSettings.ReplicasMax);
        Span<int> now = stackalloc int[copies];
        Span<int> then = stackalloc int[copies];
        now = now[..map.FindHolders(group.Group, now)];
        then = then[..map.FindHoldersFrom(group.Group, to, then)];
        int taker = -1;
        int relieved = -1;
        foreach (int silo in then)
        {
            if (now.Contains(silo)) continue;
            if (taker >= 0) return null;
            taker = silo;
        }

        foreach (int silo in now)
        {
            if (!then.Contains(silo)) relieved = silo;
        }

        return taker < 0 ? new Shift(to, relieved, 0) : new Shift(taker, relieved, group.Bytes);
    }

    /// <summary>Bytes that one silo gets, and another one, if any, has less.</summary>
    private readonly record struct Shift(int Taker, int Relieved, long Bytes);
}
