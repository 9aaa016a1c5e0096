namespace KvTier;

/// <summary>What holds for the whole cluster; part of its map.</summary>
public sealed record ClusterSettings
{
    /// <summary>Most replicas of a group, the owner's included.</summary>
    public const int ReplicasMax = 3;

    /// <summary>Silos that hold each group, the owner included, 1 to 3. Default 1.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>The same for single namespaces, by their name <c>tenant/profile</c>. Default none.</summary>
    public IReadOnlyDictionary<string, int> NamespaceReplicas { get; init; } = new Dictionary<string, int>(StringComparer.Ordinal);

    /// <summary>Silos that hold the groups of a namespace: 1 for a mutable one, which is never replicated.</summary>
    public int ReplicasOf(NamespaceDescriptor descriptor)
    {
        if (descriptor.IsMutable) return 1;
        return NamespaceReplicas.TryGetValue(descriptor.Name, out int replicas) ? replicas : Replicas;
    }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (Replicas is < 1 or > ReplicasMax) return KvError.InvalidArgument("cluster.replicas", Replicas, $"1 to {ReplicasMax}");
        foreach ((string name, int replicas) in NamespaceReplicas)
        {
            if (replicas is < 1 or > ReplicasMax)
                return KvError.InvalidArgument($"cluster.replicas of {name}", replicas, $"1 to {ReplicasMax}");
        }

        return null;
    }
}
