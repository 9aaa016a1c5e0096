namespace KvTier.Engine;

/// <summary>
/// The namespaces by handle, fingerprint and name, with the number of blocks of each. Not thread-safe, but <see cref="All"/> is.
/// </summary>
/// <param name="namespacesMax">Most namespaces.</param>
internal sealed class NamespaceTable(int namespacesMax)
{
    private readonly Dictionary<string, ushort> byName = [];
    private readonly Dictionary<NamespaceId, ushort> byId = [];
    private readonly long[] blocks = new long[namespacesMax];
    private readonly NamespaceTraffic[] traffic = new NamespaceTraffic[namespacesMax];
    private volatile NamespaceDescriptor[] all = [];

    /// <summary>Every namespace, indexed by its handle; a snapshot.</summary>
    internal IReadOnlyList<NamespaceDescriptor> All => all;

    /// <summary>Namespaces registered.</summary>
    internal int Count => all.Length;

    /// <summary>Fingerprint of a namespace.</summary>
    internal NamespaceId IdOf(ushort ns) => all[ns].Id;

    /// <summary>True when the blocks of a namespace may not leave the engine but by a delete.</summary>
    internal bool IsKept(ushort ns) => all[ns].IsInternal;

    /// <summary>True when a key of a namespace may get another value.</summary>
    internal bool IsMutable(ushort ns) => all[ns].IsMutable;

    /// <summary>Number of blocks of a namespace, to be changed in place.</summary>
    internal ref long Blocks(ushort ns) => ref blocks[ns];

    /// <summary>What was done in a namespace since start, to be changed in place.</summary>
    internal ref NamespaceTraffic Traffic(ushort ns) => ref traffic[ns];

    /// <summary>Finds a handle by fingerprint.</summary>
    internal bool TryFind(NamespaceId id, out ushort ns) => byId.TryGetValue(id, out ns);

    /// <summary>Registers a namespace, or finds it.</summary>
    internal Result<ushort> Open(NamespaceDescriptor descriptor)
    {
        if (descriptor.Validate() is { } invalid) return invalid;
        if (byName.TryGetValue(descriptor.Name, out ushort known))
        {
            return descriptor.CompareWithRegistered(all[known]) is { } differs ? differs : known;
        }

        if (all.Length >= namespacesMax) return KvError.LimitExceeded("namespaces", all.Length + 1, namespacesMax);
        var ns = (ushort)all.Length;
        all = [.. all, descriptor];
        byName.Add(descriptor.Name, ns);
        byId.Add(descriptor.Id, ns);
        return ns;
    }
}
