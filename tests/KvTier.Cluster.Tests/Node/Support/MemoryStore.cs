namespace KvTier.Cluster.Tests.Node;

/// <summary>Blocks in a dictionary. Checks what comes as the engine does.</summary>
internal sealed class MemoryStore : IBlockStore
{
    private readonly List<NamespaceDescriptor> namespaces = [];
    private readonly Dictionary<(ushort Ns, BlockId Id), (long Number, StoredBlock Block)> blocks = [];
    private readonly SortedDictionary<long, (ushort Ns, BlockId Id)> order = [];
    private long next = 1;

    public IReadOnlyList<NamespaceDescriptor> Namespaces => namespaces;

    /// <summary>Blocks that are here.</summary>
    public int Count => blocks.Count;

    /// <summary>Blocks that came by <see cref="PutAsync"/>.</summary>
    public int Came { get; private set; }

    /// <summary>Refuses every block that comes.</summary>
    public bool IsFull { get; set; }

    /// <summary>Most blocks of a read.</summary>
    public int ReadMax { get; set; } = 7;

    /// <summary>Nothing gets into the log.</summary>
    public bool IsLogStuck { get; set; }

    /// <summary>Times that somebody waited for the log.</summary>
    public int Syncs { get; private set; }

    /// <summary>Called before a block that came is stored.</summary>
    public Func<BlockId, Task>? OnPut { get; set; }

    public IEnumerable<(ushort Ns, BlockId Id)> All => order.Values;

    public Result<ushort> OpenNamespace(NamespaceDescriptor descriptor)
    {
        int known = namespaces.FindIndex(other => other.Id == descriptor.Id);
        if (known >= 0) return (ushort)known;
        namespaces.Add(descriptor);
        return (ushort)(namespaces.Count - 1);
    }

    public bool Has(ushort ns, BlockId id) => blocks.ContainsKey((ns, id));

    public byte[]? Get(ushort ns, BlockId id) =>
        blocks.TryGetValue((ns, id), out (long Number, StoredBlock Block) found) ? found.Block.Payload.ToArray() : null;

    /// <summary>Puts what a client sends, replacing what is there.</summary>
    public void Set(ushort ns, StoredBlock block)
    {
        Remove(ns, block.Id);
        order.Add(next, (ns, block.Id));
        blocks.Add((ns, block.Id), (next++, block));
    }

    public bool Remove(ushort ns, BlockId id)
    {
        if (!blocks.Remove((ns, id), out (long Number, StoredBlock Block) found)) return false;
        order.Remove(found.Number);
        return true;
    }

    public async ValueTask<StoredBlocks> ReadAsync(ushort ns, ReadOnlyMemory<BlockId> ids, TimeSpan deadline)
    {
        await Task.Yield();
        var found = new List<StoredBlock>();
        int examined = 0;
        foreach (BlockId id in ids.ToArray())
        {
            if (found.Count == ReadMax) break;
            examined++;
            if (blocks.TryGetValue((ns, id), out (long Number, StoredBlock Block) block)) found.Add(block.Block);
        }

        return new StoredBlocks(found, () => { }, examined);
    }

    public async ValueTask<bool> SyncAsync(TimeSpan deadline)
    {
        await Task.Yield();
        Syncs++;
        return !IsLogStuck;
    }

    public async ValueTask<Result<bool>> PutAsync(ushort ns, StoredBlock block, TimeSpan deadline)
    {
        await Task.Yield();
        if (OnPut is not null) await OnPut(block.Id);
        if (IsFull) return new KvError(ErrorCode.HostFull, "host");
        Assert.Equal(block.PayloadCrc, Crc32C.Compute(block.Payload.Span));
        Assert.Equal(block.Id, BlockId.Compute(namespaces[ns].Id, block.Key.Span));
        if (Has(ns, block.Id)) return false;
        Came++;
        Set(ns, block with { Payload = block.Payload.ToArray(), Key = block.Key.ToArray() });
        return true;
    }

    public void Drop(ushort ns, BlockId id, MissReason reason) => Remove(ns, id);

    public long Walk(long cursor, Span<WalkedBlock> found, out int count)
    {
        count = 0;
        foreach ((long number, (ushort ns, BlockId id)) in order)
        {
            if (number < cursor) continue;
            if (count == found.Length) return number;
            StoredBlock block = blocks[(ns, id)].Block;
            found[count++] = new WalkedBlock(ns, id, block.Group, block.Payload.Length);
        }

        return 0;
    }
}
