using KvTier.Storage.Device;

namespace KvTier.Storage.Log;

/// <summary>A segment that is open. Counted, so that a reader in flight keeps the bytes of a dropped one.</summary>
internal sealed class Segment(long number, ISegmentFile file)
{
    public long Number { get; } = number;

    public ISegmentFile File { get; } = file;

    /// <summary>Readers and writers that use it now; guarded by the table's lock.</summary>
    public int Users { get; set; }

    /// <summary>True once it may not be used any more.</summary>
    public bool Dropped { get; set; }

    /// <summary>Bytes of its index file, as the cap counts them.</summary>
    public long IndexBytes { get; set; }

    /// <summary>True when the file is known to have all of its room.</summary>
    public bool Full { get; set; }
}
