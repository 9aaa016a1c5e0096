namespace KvTier.Storage.Device;

/// <summary>
/// One segment's file. All calls block and return 0 or an errno; offsets, lengths and addresses are multiples of 512.
/// Reads, writes and syncs may run at the same time.
/// </summary>
internal interface ISegmentFile : IDisposable
{
    /// <summary>Bytes the file has now; a segment that is not preallocated has fewer than it should.</summary>
    long SizeBytes { get; }

    /// <summary>Writes all of the bytes.</summary>
    int Write(nint source, int length, long offset);

    /// <summary>Reads until the vectors are full or the file ends.</summary>
    int Read(Span<IoVector> vectors, long offset, out long read);

    /// <summary>Makes what was written durable.</summary>
    int Sync();

    /// <summary>Gives the file its full size on the disk, so that no later write can find it full.</summary>
    int Preallocate(long bytes);

    /// <summary>Makes a range read as zeros.</summary>
    int Zero(long offset, long length);
}

/// <summary>The place where segments are kept: the seam at which tests inject torn writes, flipped bits, ENOSPC and EIO.</summary>
internal interface ISegmentStore
{
    /// <summary>Numbers of the segments that are there, ascending.</summary>
    IReadOnlyList<long> List();

    /// <summary>Makes a segment with all its room; nothing is left behind when that fails.</summary>
    int Create(long segment, long bytes, out ISegmentFile? file);

    /// <summary>Opens a segment that is there.</summary>
    int Open(long segment, out ISegmentFile? file);

    /// <summary>Removes a segment, so that a crash does not bring it back; its room is free when its file is closed too.</summary>
    int Delete(long segment);

    /// <summary>Path of a small file that belongs to a segment or to the log as a whole.</summary>
    string PathOf(string name);
}
