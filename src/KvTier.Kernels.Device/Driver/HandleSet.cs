namespace KvTier.Kernels.Device;

/// <summary>The handles of one kind that a driver holds, so that it can count them and free what is left at its end. Thread-safe.</summary>
internal sealed class HandleSet
{
    private readonly HashSet<nint> handles = [];

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (handles) return handles.Count;
        }
    }

    /// <summary>Notes a handle.</summary>
    public void Add(nint handle)
    {
        lock (handles) handles.Add(handle);
    }

    /// <summary>Forgets a handle.</summary>
    /// <returns>False when it was not there: freed twice, or of another driver.</returns>
    public bool Remove(nint handle)
    {
        lock (handles) return handles.Remove(handle);
    }

    /// <summary>Says whether a handle is there.</summary>
    public bool Contains(nint handle)
    {
        lock (handles) return handles.Contains(handle);
    }

    /// <summary>Forgets all.</summary>
    /// <returns>What was there.</returns>
    public nint[] Clear()
    {
        lock (handles)
        {
            nint[] all = [.. handles];
            handles.Clear();
            return all;
        }
    }
}
