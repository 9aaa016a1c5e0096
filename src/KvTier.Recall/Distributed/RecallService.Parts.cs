using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Parts: what this silo has of the sequences of the cluster, in memory only.</summary>
public sealed partial class RecallService
{
    private long uses;

    /// <summary>Parts held.</summary>
    internal int PartCount => parts.Count;

    /// <summary>The engine.</summary>
    internal BlockEngine Engine => engine;

    /// <summary>Finds the handle of a namespace.</summary>
    internal Result<ushort> HandleOf(NamespaceId id)
    {
        IReadOnlyList<NamespaceDescriptor> all = engine.Namespaces;
        for (ushort ns = 0; ns < all.Count; ns++)
        {
            if (all[ns].Id == id) return ns;
        }

        return new KvError(ErrorCode.NamespaceUnknown, "namespace", id.ToString());
    }

    /// <summary>Recalls over parts.</summary>
    /// <param name="request">Units are counted in the parts.</param>
    /// <param name="ask">What the parts must be, and what is chosen.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The answer; <see cref="ErrorCode.Conflict"/> when a part is another one.</returns>
    internal ValueTask<Result<RecallAnswer>> RecallPartsAsync(RecallRequest request, PartAsk ask, TimeSpan deadline) =>
        GuardAsync(limit => RecallCoreAsync(request, parts, ask, limit), deadline);

    /// <summary>Drops a part; a sequence that was closed has none.</summary>
    internal async ValueTask DropPartAsync(ushort ns, string name, TimeSpan deadline)
    {
        if (parts.Find(ns, name) is not { } grain || await grain.Turns.EnterAsync(new Deadline(time, deadline)) is not null) return;
        DropInTurn(grain);
        grain.Turns.Leave();
    }

    /// <summary>Takes bytes of digests, dropping the parts that were not used for longest until there is room for them.</summary>
    private KvError? MakeRoom(long more, SequenceGrain keep)
    {
        if (digestBytes.Take(more) is null) return null;
        foreach (SequenceGrain grain in parts.All().OrderBy(each => each.LastUse))
        {
            if (grain == keep || !grain.Turns.TryEnter()) continue;
            DropInTurn(grain);
            grain.Turns.Leave();
            if (digestBytes.Take(more) is null) return null;
        }

        return digestBytes.Take(more);
    }

    private void DropInTurn(SequenceGrain grain)
    {
        grain.State?.Dispose();
        grain.Set(null);
        Account(grain);
        RetireFrom(parts, grain);
    }

    /// <summary>Takes a grain out that is not open. In its turn only.</summary>
    internal static void RetireFrom(SequenceTable from, SequenceGrain grain)
    {
        if (grain.State is not null) return;
        grain.IsRetired = true;
        from.Remove(grain);
    }
}
