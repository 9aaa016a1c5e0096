namespace KvTier.Cluster;

/// <summary>
/// Who owes whom: a silo whose groups lie on another one owes it. A silo never lends to one that owes it, directly or by others: groups
/// would
/// go round and nobody would be relieved.
/// </summary>
internal sealed class DebtGraph
{
    private readonly Dictionary<(int Debtor, int Creditor), int> debts = [];
    private readonly int silos;

    /// <summary>Takes the debts from the moved groups of a map.</summary>
    public DebtGraph(ClusterMap map)
    {
        silos = map.Silos.Count;
        foreach ((BlockId group, string name) in map.Moved)
        {
            int creditor = map.IndexOf(name);
            int home = map.HomeOf(group);
            if (creditor >= 0 && home >= 0 && home != creditor) Add(home, creditor);
        }
    }

    /// <summary>Notes that a group of a silo lies on another one.</summary>
    public void Add(int debtor, int creditor) =>
        debts[(debtor, creditor)] = debts.GetValueOrDefault((debtor, creditor)) + 1;

    /// <summary>Notes that it lies there no longer.</summary>
    public void Remove(int debtor, int creditor)
    {
        int left = debts.GetValueOrDefault((debtor, creditor)) - 1;
        if (left > 0) debts[(debtor, creditor)] = left;
        else debts.Remove((debtor, creditor));
    }

    /// <summary>True when one silo may owe another one without a circle: nothing leads from the creditor back to the debtor.</summary>
    public bool MayOwe(int debtor, int creditor)
    {
        if (debtor == creditor) return false;
        if (debts.Count == 0 || debts.ContainsKey((debtor, creditor))) return true;
        var seen = new bool[silos];
        var open = new Stack<int>([creditor]);
        while (open.TryPop(out int at))
        {
            if (at == debtor) return false;
            if (seen[at]) continue;
            seen[at] = true;
            foreach ((int Debtor, int Creditor) debt in debts.Keys)
            {
                if (debt.Debtor == at && !seen[debt.Creditor]) open.Push(debt.Creditor);
            }
        }

        return true;
    }
}
