namespace KvTier.Engine;

/// <content>Who watches blocks come and go, and what was done in each namespace.</content>
public sealed partial class BlockEngine
{
    /// <summary>Told of blocks that come into a tier or leave one; set before anything is stored. Default none.</summary>
    public IBlockWatch? Watch
    {
        get => state.Watch;
        set
        {
            lock (state.Gate) state.Watch = value;
        }
    }

    /// <summary>What was done in a namespace since start.</summary>
    /// <param name="ns">A handle that was opened.</param>
    public NamespaceTraffic Traffic(ushort ns)
    {
        lock (state.Gate) return state.Namespaces.Traffic(ns);
    }
}
