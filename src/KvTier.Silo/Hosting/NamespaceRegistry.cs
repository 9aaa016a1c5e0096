using KvTier.Engine;

namespace KvTier.Silo;

/// <summary>
/// Registers namespaces: with the engine, and in the data directory before the client hears of it, so that no acknowledged block
/// is in a namespace that a restart has forgotten. Thread-safe.
/// </summary>
/// <param name="engine">The engine.</param>
/// <param name="limits">For the most namespaces.</param>
/// <param name="persist">Writes the whole list durably; null without a data directory.</param>
internal sealed class NamespaceRegistry(BlockEngine engine, Limits limits, Func<IReadOnlyList<NamespaceDescriptor>, KvError?>? persist)
{
    private readonly Lock gate = new();

    /// <summary>Registers a namespace for a client or by an option, or finds it. One of the silo's own is refused.</summary>
    /// <returns>Its handle, or why it is refused.</returns>
    public Result<ushort> Open(NamespaceDescriptor descriptor) =>
        descriptor.IsInternal
            ? KvError.InvalidArgument("tenant", descriptor.Tenant, "a name that does not begin with _, as those of the silo itself do")
            : Register(descriptor);

    /// <summary>Registers a namespace of the silo's own state, or finds it.</summary>
    /// <returns>Its handle, or why it is refused.</returns>
    public Result<ushort> OpenInternal(NamespaceDescriptor descriptor) =>
        descriptor.IsInternal
            ? Register(descriptor)
            : KvError.InvalidArgument("tenant", descriptor.Tenant, "a name that begins with _");

    private Result<ushort> Register(NamespaceDescriptor descriptor)
    {
        if (descriptor.Validate() is { } invalid) return invalid;
        lock (gate)
        {
            IReadOnlyList<NamespaceDescriptor> known = engine.Namespaces;
            if (known.Any(ns => ns.Name == descriptor.Name)) return engine.OpenNamespace(descriptor);
            if (descriptor.Profile.BlockBytes > limits.BlockBytesMax)
                return KvError.LimitExceeded($"namespace {descriptor.Name}: block bytes", descriptor.Profile.BlockBytes,
                    limits.BlockBytesMax);
            int own = known.Count(ns => !ns.IsInternal);
            if (own >= limits.NamespacesMax && !descriptor.IsInternal)
                return KvError.LimitExceeded("namespaces", own + 1, limits.NamespacesMax);
            return persist?.Invoke([.. known, descriptor]) is { } error ? error : engine.OpenNamespace(descriptor);
        }
    }
}
