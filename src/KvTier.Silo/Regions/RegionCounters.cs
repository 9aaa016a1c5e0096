namespace KvTier.Silo.Regions;

/// <summary>What the silo counts of engine regions. Thread-safe.</summary>
internal sealed class RegionCounters
{
    private long open;
    private long stored;
    private long loaded;
    private long failed;
    private long storedBytes;
    private long loadedBytes;
    private long reaped;

    /// <summary>Regions open now.</summary>
    public long Open => Interlocked.Read(ref open);

    /// <summary>Rows copied out of regions.</summary>
    public long Stored => Interlocked.Read(ref stored);

    /// <summary>Rows copied into regions.</summary>
    public long Loaded => Interlocked.Read(ref loaded);

    /// <summary>Rows that could not be copied though file and block were there.</summary>
    public long Failed => Interlocked.Read(ref failed);

    /// <summary>Bytes of the rows copied out.</summary>
    public long StoredBytes => Interlocked.Read(ref storedBytes);

    /// <summary>Bytes of the rows copied in.</summary>
    public long LoadedBytes => Interlocked.Read(ref loadedBytes);

    /// <summary>Files removed because their engine was gone.</summary>
    public long Reaped => Interlocked.Read(ref reaped);

    /// <summary>A region was opened, or closed.</summary>
    public void Opened(int change) => Interlocked.Add(ref open, change);

    /// <summary>A row was copied out.</summary>
    public void RowStored(int bytes)
    {
        Interlocked.Increment(ref stored);
        Interlocked.Add(ref storedBytes, bytes);
    }

    /// <summary>A row was copied in.</summary>
    public void RowLoaded(int bytes)
    {
        Interlocked.Increment(ref loaded);
        Interlocked.Add(ref loadedBytes, bytes);
    }

    /// <summary>A row could not be copied.</summary>
    public void RowFailed() => Interlocked.Increment(ref failed);

    /// <summary>A file was removed.</summary>
    public void FileReaped() => Interlocked.Increment(ref reaped);
}
