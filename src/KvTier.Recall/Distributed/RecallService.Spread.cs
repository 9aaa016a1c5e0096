namespace KvTier.Recall;

/// <summary>What the code of a cluster uses of a silo's sequences.</summary>
public sealed partial class RecallService
{
    /// <summary>The sequences that this silo owns or holds a manifest of.</summary>
    internal SequenceTable Sequences => table;

    /// <summary>Where manifests are kept.</summary>
    internal ManifestStore Manifests => store;

    /// <summary>The options.</summary>
    internal RecallOptions Options => options;

    /// <summary>The clock.</summary>
    internal TimeProvider Time => time;

    /// <summary>Opens a namespace that another silo names. Default: at the engine.</summary>
    internal Func<NamespaceDescriptor, Result<ushort>> OpenNamespace { get; set; } = null!;

    /// <summary>Makes this silo's sequences those of a cluster. Called once, before they are restored.</summary>
    internal void Join(ISpread how) => spread = how;

    /// <summary>Counts answers.</summary>
    internal void Answered(IReadOnlyList<RecallItemAnswer> items) => counters.Answered(items);

    /// <summary>Runs a call that ends before the service does.</summary>
    internal ValueTask<Result<T>> RunAsync<T>(Func<Deadline, ValueTask<Result<T>>> call, TimeSpan deadline) => GuardAsync(call, deadline);

    /// <summary>A number for a block of a sequence.</summary>
    internal long NextNumber() => NextBlockNumber();

    /// <summary>Writes the full segments of some blocks, and gives the manifest that names them.</summary>
    internal async ValueTask<Result<SequenceManifest>> SegmentsOfAsync(
        SequenceManifest manifest, IReadOnlyList<SequenceBlock> blocks, Deadline deadline)
    {
        const int size = SequenceManifest.SegmentBlocks;
        var segments = new List<BlockId>();
        for (int i = 0; i < SequenceManifest.SegmentsOf(blocks.Count); i++)
        {
            Result<BlockId> added = await store.AddSegmentAsync([.. blocks.Skip(i * size).Take(size).Select(AsRecord)], deadline);
            if (added.TryGet(out BlockId id, out KvError? error))
            {
                segments.Add(id);
                continue;
            }

            store.Drop(segments);
            return error;
        }

        return manifest with
        {
            Segments = segments,
            Tail = [.. blocks.Skip(segments.Count * size).Select(AsRecord)],
            Alone = SequenceManifest.AloneOf(blocks),
        };
    }

    /// <summary>Makes a grain what a manifest says; without one it is not open any more. In its turn.</summary>
    internal void SetFrom(SequenceGrain grain, SequenceManifest? manifest, IReadOnlyList<SequenceBlock> blocks)
    {
        grain.State?.Dispose();
        grain.Places = null;
        grain.Memory.Reuse.Clear();
        if (manifest is null)
        {
            grain.Set(null);
            return;
        }

        SequenceState state = NewState(engine.Namespaces[grain.Namespace].Profile, manifest.Digests, manifest.Rotation);
        state.Restore([.. blocks.Select(block => block with { Number = NextBlockNumber() })], manifest.Tokens, manifest.Segments);
        grain.Set(state);
    }
}
