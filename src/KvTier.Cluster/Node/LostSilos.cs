namespace KvTier.Cluster;

/// <summary>Which silos were lost lately, and what they held: reasons of misses. Thread-safe.</summary>
internal sealed class LostSilos(NodeContext node)
{
    /// <summary>How long a loss explains misses.</summary>
    public static readonly TimeSpan Remembered = TimeSpan.FromMinutes(15);

    private const int LossesMax = 16;

    private readonly Lock gate = new();
    private Loss[] losses = [];

    /// <summary>Notes the silos that went with a change of the map without having given away what they had.</summary>
    public void OnMap(ClusterMap before, ClusterMap after)
    {
        if (before.MembersEpoch == after.MembersEpoch) return;
        string[] lost =
        [
            .. before.Silos.Where(silo => !silo.Draining && !IsStill(after, silo)).Select(silo => silo.Name),
        ];
        if (lost.Length == 0) return;
        lock (gate) losses = [new Loss(before, lost, node.Time.GetTimestamp()), .. losses.Take(LossesMax - 1)];
    }

    /// <summary>True when all that held a group at some time lately are lost.</summary>
    public bool HaveHeld(BlockId group)
    {
        Loss[] known = losses;
        foreach (Loss loss in known)
        {
            if (node.Time.GetElapsedTime(loss.At) > Remembered) break;
            Holders holders = Holders.Of(loss.Before, loss.Before.Settings.Replicas, group);
            int gone = 0;
            for (int rank = 0; rank < holders.Count; rank++)
            {
                if (IsLost(known, loss.Before.Silos[holders[rank]].Name)) gone++;
            }

            if (holders.Count > 0 && gone == holders.Count) return true;
        }

        return false;
    }

    private bool IsLost(Loss[] known, string silo)
    {
        foreach (Loss loss in known)
        {
            if (node.Time.GetElapsedTime(loss.At) > Remembered) return false;
            if (Array.IndexOf(loss.Silos, silo) >= 0) return true;
        }

        return false;
    }

    private static bool IsStill(ClusterMap map, SiloEntry silo) =>
        map.IndexOf(silo.Name) is >= 0 and var index && map.Silos[index].JoinedEpoch == silo.JoinedEpoch;

    private sealed record Loss(ClusterMap Before, string[] Silos, long At);
}
