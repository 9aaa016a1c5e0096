namespace KvTier.Cluster;

/// <summary>Tells whoever listens how far moves of groups are. Thread-safe.</summary>
internal sealed class MoveNotes
{
    /// <summary>Most groups that were given away whose drop is still told of.</summary>
    private const int GivenAwayMax = 1024;

    private readonly Lock gate = new();
    private readonly Dictionary<BlockId, string> givenAway = [];
    private volatile bool anyGivenAway;

    /// <summary>Called with each stage, the group and the other silo, by whoever does the work: it must not take long.</summary>
    public Action<MoveStage, BlockId, string>? Listener { get; set; }

    /// <summary>Tells of a stage.</summary>
    public void Tell(MoveStage stage, BlockId group, string other)
    {
        if (stage == MoveStage.LastCatchUp) NoteGivenAway(group, other);
        Listener?.Invoke(stage, group, other);
    }

    /// <summary>Tells of the first block of a group that was given away and is dropped.</summary>
    public void Dropping(BlockId group)
    {
        if (!anyGivenAway) return;
        string? other;
        lock (gate)
        {
            if (!givenAway.Remove(group, out other)) return;
            anyGivenAway = givenAway.Count > 0;
        }

        Listener?.Invoke(MoveStage.Drop, group, other);
    }

    private void NoteGivenAway(BlockId group, string other)
    {
        lock (gate)
        {
            if (givenAway.Count >= GivenAwayMax) givenAway.Clear();
            givenAway[group] = other;
            anyGivenAway = true;
        }
    }
}
