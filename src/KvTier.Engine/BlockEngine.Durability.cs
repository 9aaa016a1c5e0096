namespace KvTier.Engine;

/// <summary>Durability and figures.</summary>
public sealed partial class BlockEngine
{
    /// <summary>A ticket that covers everything sealed, deleted or changed so far.</summary>
    public long CurrentTicket
    {
        get
        {
            lock (state.Gate) return state.Ops.Last;
        }
    }

    /// <summary>
    /// Blocks that left host memory, their only place, since start, because the log had refused them for long. Who waits for durability of
    /// what it put compares this before its first put with this after the wait: when it grew, what was put may be among the lost.
    /// </summary>
    public long LostBlocks
    {
        get
        {
            lock (state.Gate) return state.Counters.DirtyEvictions;
        }
    }

    /// <summary>Figures at this moment.</summary>
    public EngineStats Stats
    {
        get
        {
            LogStatus? status = log?.Status;
            lock (state.Gate) return StatsLocked(status);
        }
    }

    /// <summary>Waits until everything up to a ticket is committed in the log.</summary>
    /// <returns>Null when it is; else <see cref="ErrorCode.DiskFull"/>, <see cref="ErrorCode.IoError"/>,
    /// <see cref="ErrorCode.DeadlineExceeded"/>,
    /// <see cref="ErrorCode.ShuttingDown"/>, or <see cref="ErrorCode.Unsupported"/> without an SSD tier.</returns>
    public ValueTask<KvError?> WaitDurableAsync(long ticket, TimeSpan deadline) =>
        writer is null
            ? new ValueTask<KvError?>(new KvError(ErrorCode.Unsupported, "ack", "ssd", "memory, as this silo has no SSD tier"))
            : writer.WaitAsync(ticket, deadline);

    private EngineStats StatsLocked(LogStatus? status)
    {
        EngineCounters counters = state.Counters;
        return new EngineStats
        {
            HostBlocks = counters.HostBlocks,
            HostBytes = counters.HostBytes,
            HostSlotBytes = state.Closed ? 0 : state.Arena.UsedBytes,
            HostCapacityBytes = state.Closed ? 0 : state.Arena.CapacityBytes,
            SsdBlocks = counters.SsdBlocks,
            SsdBytes = counters.SsdBytes,
            Log = status,
            DirtyBlocks = counters.DirtyBlocks,
            LeasedSlots = counters.LeasedSlots,
            ReservedSlots = counters.ReservedSlots,
            ScratchSlots = counters.ScratchSlots,
            ScratchBytes = counters.ScratchBytes,
            DeviceBlocks = counters.DeviceBlocks,
            Demotions = counters.Demotions,
            PinnedBlocks = state.Pins.Count,
            Puts = counters.Puts,
            PutsPresent = counters.PutsPresent,
            HostHits = counters.HostHits,
            SsdHits = counters.SsdHits,
            RangeReadsHost = counters.RangeReadsHost,
            RangeReadsSsd = counters.RangeReadsSsd,
            RangeDeviceBytes = counters.RangeDeviceBytes,
            Misses = state.Ledger.Counts,
            GhostHits = state.Ghost.Hits,
            HostEvictions = counters.HostEvictions,
            SsdEvictions = counters.SsdEvictions,
            Reappended = counters.Reappended,
            CorruptBlocks = counters.CorruptBlocks,
            MemoryOnlyEvictions = counters.DirtyEvictions,
            UnknownNamespaceRecords = counters.UnknownNamespaceRecords,
            DoubtfulValues = counters.DoubtfulValues,
            LogFaults = counters.LogFaults,
            SsdReadErrors = counters.SsdReadErrors,
            IndexBytes = state.NativeBytes,
            KeyBytes = state.Keys.KeyBytes,
        };
    }
}
