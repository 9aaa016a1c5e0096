namespace KvTier.Simulation;

/// <summary>What clients were promised and what they saw: the truth that silos are held against.</summary>
internal sealed class Ledger(SimScheduler scheduler)
{
    private readonly Dictionary<BlockId, BlockPromise> blocks = [];
    private readonly ValueHistory[] values = [.. Enumerable.Range(0, Workload.Values).Select(_ => new ValueHistory())];

    private int disksLost;

    /// <summary>Blocks about which something was promised.</summary>
    internal IEnumerable<KeyValuePair<BlockId, BlockPromise>> Promised => blocks.Where(each => each.Value.IsKept);

    /// <summary>Promises given by replicas.</summary>
    internal int ReplicaPromises => blocks.Count(each => each.Value is { ByReplica: true, IsDeleted: false });

    /// <summary>A put was acknowledged.</summary>
    internal void Acknowledged(BlockId id, AckLevel ack)
    {
        BlockPromise promise = Of(id);
        promise.ByMemory = IsTrusting;
        if (ack == AckLevel.Replica) promise.ByReplica = true;
        if (ack == AckLevel.Ssd && disksLost == 0) promise.BySsd = true;
    }

    /// <summary>A delete was asked for: nothing is promised any more.</summary>
    internal void Deleting(BlockId id) => Of(id).IsDeleted = true;

    /// <summary>True when a delete of the block was ever asked for.</summary>
    internal bool WasDeleted(BlockId id) => blocks.TryGetValue(id, out BlockPromise? promise) && promise.IsDeleted;

    /// <summary>
    /// True while nothing goes wrong: then what is acknowledged is found by the next read. When something does, what is only in one silo's
    /// memory may be lost.
    /// </summary>
    internal bool IsTrusting
    {
        get;
        set
        {
            field = value;
            if (value) return;
            foreach (BlockPromise promise in blocks.Values) promise.ByMemory = false;
        }
    } = true;

    /// <summary>True when a read that begins now, with nothing going wrong, has to find a block.</summary>
    internal bool MustBeFound(BlockId id) => blocks.TryGetValue(id, out BlockPromise? promise) && promise.ByMemory && !promise.IsDeleted;

    /// <summary>A disk was lost: nothing that lay on one counts any more, nor what is acknowledged while answers are under way.</summary>
    internal void LoseDisk()
    {
        disksLost++;
        foreach (BlockPromise promise in blocks.Values) promise.BySsd = false;
    }

    /// <summary>All answers that were given before a disk was lost have come.</summary>
    internal void EndLoss() => disksLost--;

    /// <summary>Bytes were read.</summary>
    internal void Read(BlockId id, ReadOnlySpan<byte> payload)
    {
        if (Workload.Find(id) is not { } block) return;
        if (!payload.SequenceEqual(block.Payload)) scheduler.Fail("bytes out are bytes in", $"{Workload.Name(id)} has other bytes");
    }

    /// <summary>A change of a value begins.</summary>
    /// <returns>Its version; 0 when another change of it is under way.</returns>
    internal int BeginChange(int value) => values[value].Begin();

    /// <summary>A change of a value ended.</summary>
    /// <param name="value">The value.</param>
    /// <param name="version">Its version.</param>
    /// <param name="made">True when it was acknowledged, false when it was refused, null when nobody knows.</param>
    internal void EndChange(int value, int version, bool? made) => values[value].End(version, made);

    /// <summary>The version that a read that begins now may not be older than.</summary>
    internal int FloorOf(int value) => values[value].Acknowledged;

    /// <summary>A value was read.</summary>
    internal void ReadValue(int value, int floor, ReadOnlySpan<byte> bytes)
    {
        int version = Workload.VersionOf(value, bytes);
        if (version < 0) scheduler.Fail("bytes out are bytes in", $"v{value} has bytes of no version");
        else if (version < floor && !values[value].IsUnknown(version))
            scheduler.Fail("no stale value", $"v{value} is version {version}, but version {floor} was acknowledged before the read");
    }

    private BlockPromise Of(BlockId id)
    {
        if (!blocks.TryGetValue(id, out BlockPromise? promise)) blocks.Add(id, promise = new BlockPromise());
        return promise;
    }

    /// <summary>What was promised of a block.</summary>
    internal sealed class BlockPromise
    {
        internal bool ByMemory { get; set; }

        internal bool ByReplica { get; set; }

        internal bool BySsd { get; set; }

        internal bool IsDeleted { get; set; }

        internal bool IsKept => (ByReplica || BySsd) && !IsDeleted;
    }

    // One change at a time, so that versions grow in the order in which changes are acknowledged. One whose outcome nobody knows may
    // still come to be at any time.
    private sealed class ValueHistory
    {
        private readonly HashSet<int> unknown = [];
        private int last;
        private bool changing;

        public int Acknowledged { get; private set; }

        public int Begin()
        {
            if (changing) return 0;
            changing = true;
            unknown.Add(++last);
            return last;
        }

        public void End(int version, bool? made)
        {
            changing = false;
            if (made is not null) unknown.Remove(version);
            if (made == true) Acknowledged = version;
        }

        public bool IsUnknown(int version) => unknown.Contains(version);
    }
}
