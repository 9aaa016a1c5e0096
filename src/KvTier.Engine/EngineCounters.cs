namespace KvTier.Engine;

/// <summary>What the engine counts, under its lock.</summary>
internal sealed class EngineCounters
{
    /// <summary>Payload bytes of all blocks, each once, whatever tiers it is in.</summary>
    internal long BlockBytes;
    internal long HostBlocks;
    internal long HostBytes;
    internal long SsdBlocks;
    internal long SsdBytes;
    internal long DirtyBlocks;
    internal long LeasedSlots;
    internal long ReservedSlots;
    internal long ScratchSlots;
    internal long ScratchBytes;
    internal long DeviceBlocks;
    internal long Demotions;
    internal long Puts;
    internal long PutsPresent;
    internal long PutBytes;
    internal long HostHits;
    internal long HostHitBytes;
    internal long SsdHits;
    internal long SsdHitBytes;
    internal long HostEvictions;
    internal long SsdEvictions;
    internal long DirtyEvictions;
    internal long Reappended;
    internal long CorruptBlocks;
    internal long UnknownNamespaceRecords;
    internal long DoubtfulValues;
    internal long RangeReadsHost;
    internal long RangeReadsSsd;
    internal long RangeDeviceBytes;
    internal long LogFaults;
    internal long SsdReadErrors;

    /// <summary>Blocks with an expiry, so that the sweep may rest while there are none.</summary>
    internal long ExpiringBlocks;
}
