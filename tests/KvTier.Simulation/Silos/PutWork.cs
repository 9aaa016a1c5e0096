using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>What became of a block of a put.</summary>
internal enum PutStatus
{
    /// <summary>Nothing yet.</summary>
    None,

    /// <summary>It was stored.</summary>
    Stored,

    /// <summary>It was here.</summary>
    Present,

    /// <summary>It could not be stored.</summary>
    Refused,

    /// <summary>Another silo's.</summary>
    Moved,
}

/// <summary>A put on its way through a silo.</summary>
internal sealed class PutWork(SimPut put, ClusterNode node)
{
    internal SimPut Put => put;

    internal PutStatus[] Statuses { get; } = new PutStatus[put.Blocks.Count];

    internal KvError? Error { get; set; }

    /// <summary>True when anything was stored or is here.</summary>
    internal bool HasAny => Statuses.Any(IsHere);

    /// <summary>Says whether a block may be stored here; one that may not is noted.</summary>
    internal bool IsAdmitted(int index)
    {
        switch (node.Admit(put.Namespace, put.Blocks[index].Group, AccessKind.Put))
        {
            case Admission.Serve:
                return true;
            case Admission.Moved:
                Statuses[index] = PutStatus.Moved;
                return false;
            default:
                Refuse(index, new KvError(ErrorCode.Fenced, "silo"));
                return false;
        }
    }

    /// <summary>The same for what was stored, after the map has changed.</summary>
    internal void AdmitAgain()
    {
        for (int i = 0; i < Statuses.Length; i++)
        {
            if (IsHere(Statuses[i])) IsAdmitted(i);
        }
    }

    internal void Refuse(int index, KvError error)
    {
        Statuses[index] = PutStatus.Refused;
        Error ??= error;
    }

    /// <summary>Blocks to be copied.</summary>
    internal (BlockId[] Ids, BlockId[] Groups) Blocks(bool withPresent)
    {
        SimBlock[] some = [.. put.Blocks.Where(
            (_, i) => Statuses[i] == PutStatus.Stored || (withPresent && Statuses[i] == PutStatus.Present))];
        return ([.. some.Select(block => block.Id)], [.. some.Select(block => block.Group)]);
    }

    internal SimPutReply Reply(long epoch) => new(epoch, [.. Statuses.Select(status => status switch
    {
        PutStatus.Stored or PutStatus.Present => SimStatus.Done,
        PutStatus.Moved => SimStatus.Moved,
        _ => SimStatus.Refused,
    })], Error);

    private static bool IsHere(PutStatus status) => status is PutStatus.Stored or PutStatus.Present;
}
