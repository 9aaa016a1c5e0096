using System.Collections.Concurrent;

namespace KvTier.Recall;

/// <summary>Scores of one recall's items that wait to be ranked, or for the estimate of what is not chosen.</summary>
/// <param name="Selector">The selector.</param>
/// <param name="Most">Units of each KV head to rank at most.</param>
/// <param name="Tables">A table for each KV head of each item.</param>
/// <param name="At">When they were made, in ticks of the clock.</param>
internal sealed record ScoreSession(Selector Selector, int Most, ScoreTable[] Tables, long At)
{
    /// <summary>Bytes of the tables, about.</summary>
    internal long Bytes => Tables.Sum(table => table.Bytes);
}

/// <summary>The scores that a silo keeps between the messages of a recall: few, bounded in bytes, not for long. Thread-safe.</summary>
/// <param name="time">The clock.</param>
internal sealed class ScoreSessions(TimeProvider time)
{
    /// <summary>Bytes of all sessions.</summary>
    private const long BytesMax = 1L << 30;

    /// <summary>A coordinator that has not come back by then has died or given up.</summary>
    private static readonly TimeSpan longest = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<(string From, long Id), ScoreSession> sessions = new();
    private readonly ConcurrentBag<ScoreTable> spare = [];

    /// <summary>Sessions now.</summary>
    internal int Count => sessions.Count;

    /// <summary>A table of somebody who needs it no more, or a new one.</summary>
    internal ScoreTable Rent() => spare.TryTake(out ScoreTable? table) ? table : new ScoreTable();

    /// <summary>Keeps scores.</summary>
    /// <returns>Null, or why they can't be kept.</returns>
    internal KvError? Add(string from, long id, ScoreSession session)
    {
        foreach (KeyValuePair<(string From, long Id), ScoreSession> each in sessions)
        {
            if (time.GetElapsedTime(each.Value.At) > longest) Remove(each.Key.From, each.Key.Id);
        }

        long bytes = sessions.Values.Sum(each => each.Bytes) + session.Bytes;
        if (bytes > BytesMax) return new KvError(ErrorCode.Busy, "recall.scoreBytes", $"{bytes}", $"{BytesMax}");
        sessions[(from, id)] = session;
        return null;
    }

    /// <summary>Finds scores; null when they are not kept any more.</summary>
    internal ScoreSession? Find(string from, long id) => sessions.GetValueOrDefault((from, id));

    /// <summary>Ends a session.</summary>
    internal void Remove(string from, long id)
    {
        if (!sessions.TryRemove((from, id), out ScoreSession? ended)) return;
        Return(ended.Tables);
    }

    /// <summary>Takes tables back.</summary>
    internal void Return(IEnumerable<ScoreTable> tables)
    {
        foreach (ScoreTable table in tables)
        {
            if (spare.Count < 1024) spare.Add(table);
        }
    }
}
