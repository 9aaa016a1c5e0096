using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Puts the outcomes of reserve and commit together.</summary>
internal static class PutSummaries
{
    public static PutSummary Add(PutSummary first, PutSummary second) => new(
        first.Stored + second.Stored, first.Present + second.Present, first.Refused + second.Refused, first.Error ?? second.Error,
        first.Moved + second.Moved);

    /// <summary>The outcome of a put that reserved, wrote and committed.</summary>
    public static PutSummary Merge(LocalReserveExchange reserve, LocalCommitExchange commit, Memory<PutStatus> statuses)
    {
        int present = 0, refused = 0, moved = 0, next = 0;
        ReadOnlySpan<ReservedItem> items = reserve.Items;
        for (int i = 0; i < items.Length; i++)
        {
            PutStatus status = items[i].Status switch
            {
                Protocol.ReserveStatus.Reserved => commit.Statuses[next++],
                Protocol.ReserveStatus.Present => PutStatus.Present,
                Protocol.ReserveStatus.Moved => PutStatus.Moved,
                _ => PutStatus.Refused,
            };
            if (items[i].Status == Protocol.ReserveStatus.Present) present++;
            else if (items[i].Status == Protocol.ReserveStatus.Refused) refused++;
            else if (items[i].Status == Protocol.ReserveStatus.Moved) moved++;
            if (!statuses.IsEmpty) statuses.Span[i] = status;
        }

        return Add(new PutSummary(0, present, refused, reserve.Error, moved), commit.Summary);
    }
}
