using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>The sequences of one silo, over its engine. Thread-safe.</summary>
/// <remarks>Make it before the engine recovers, as it registers the namespace of its manifests; call <see cref="RestoreAsync"/> after.
/// Dispose it before the engine.</remarks>
public sealed partial class RecallService : ISequences, IAsyncDisposable
{
    /// <summary>Longest name of a sequence, in bytes of UTF-8.</summary>
    public const int NameBytesMax = 256;

    private readonly RecallOptions options;
    private readonly BlockEngine engine;
    private readonly TimeProvider time;
    private readonly Func<DigestSpec, BlockLayout, RopeRotation?, DigestIndex> digests;
    private readonly SequenceTable table;
    private readonly SequenceTable parts;
    private readonly ScoreSessions sessions;
    private readonly ManifestStore store;
    private readonly DigestLoader loader;
    private readonly HotSet hot;
    private readonly WorkerPool pool;
    private readonly Planner planner;
    private readonly Fetcher fetcher;
    private readonly ByteLimit digestBytes;
    private readonly Feedback feedback;
    private readonly DeviceSpace space;
    private readonly DeviceTier device;
    private readonly DeviceDigests deviceDigests;
    private readonly DeviceStep deviceStep;
    private readonly RecallCounters counters = new();
    private readonly CallGate calls = new();
    private ISpread? spread;
    private long blockNumbers;
    private long restoredEpoch;

    /// <summary>Makes the service.</summary>
    /// <param name="options">Limits and budgets.</param>
    /// <param name="engine">Where the blocks are; it is not owned.</param>
    /// <param name="time">The clock of deadlines.</param>
    /// <param name="device">The device of the device tier; null for none. It is not owned.</param>
    /// <exception cref="KvException">An option has a value it can't have, or the system has no room for the hot set.</exception>
    public RecallService(RecallOptions options, BlockEngine engine, TimeProvider time, IRecallDevice? device = null)
        : this(options, engine, time, device, options.RunsEndAtGroups ? DigestIndex.CreateByGroups : DigestIndex.Create)
    {
    }

    /// <summary>Makes the service with digests of the caller's.</summary>
    internal RecallService(
        RecallOptions options, BlockEngine engine, TimeProvider time, IRecallDevice? device,
        Func<DigestSpec, BlockLayout, RopeRotation?, DigestIndex> digests)
    {
        if (options.Validate() is { } invalid) throw new KvException(invalid);
        this.options = options;
        this.engine = engine;
        this.time = time;
        this.digests = digests;
        table = new SequenceTable(options.SequencesMax, options.MailboxMax);
        parts = new SequenceTable(options.SequencesMax, options.MailboxMax);
        sessions = new ScoreSessions(time);
        store = new ManifestStore(engine, time);
        loader = new DigestLoader(engine);
        hot = new HotSet(options.HotSetBytes);
        pool = new WorkerPool(options.Workers);
        space = new DeviceSpace(device, options.DeviceBytes);
        this.device = new DeviceTier(device, space, engine);
        deviceDigests = new DeviceDigests(device, space);
        deviceStep = new DeviceStep(this.device, deviceDigests);
        planner = new Planner(engine, this.device);
        digestBytes = new ByteLimit("recall.digestBytesMax", options.DigestBytesMax);
        ReadMemory = new ByteGate("recall.readBytes", options.ReadBytesMax);
        fetcher = new Fetcher(engine, hot, pool, planner, counters, ReadMemory);
        feedback = new Feedback(engine);
        OpenNamespace = engine.OpenNamespace;
    }

    /// <summary>Longest that <see cref="DisposeAsync"/> waits for calls under way: 30 s on the injected clock.</summary>
    public static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(30);

    /// <summary>The namespace of the manifests, for silos that register namespaces durably.</summary>
    public static NamespaceDescriptor ManifestNamespace => ManifestStore.Descriptor;

    /// <summary>Figures at this moment.</summary>
    public RecallStats Stats
    {
        get
        {
            List<SequenceGrain> grains = table.All();
            return counters.Sums with
            {
                Sequences = grains.Count(grain => grain.Info is not null),
                DigestBytes = grains.Sum(grain => grain.Info?.DigestBytes ?? 0),
                QuarantinedChunks = grains.Sum(grain => grain.Info?.QuarantinedChunks ?? 0),
                HotBytes = hot.Bytes,
                HotEvictions = hot.Evictions,
                DeviceBytes = space.Bytes,
                DeviceDigestBytes = deviceDigests.Bytes,
                DeviceDigestSegments = deviceDigests.Count,
                DeviceRowsScored = deviceDigests.RowsScored,
                DeviceBlocks = device.Count,
                DeviceAdditions = space.Additions,
                DeviceEvictions = space.Evictions,
                DeviceFallbacks = space.Fallbacks,
                DeviceFault = space.Fault,
            };
        }
    }

    /// <summary>Memory of rows that recalls read from the SSD.</summary>
    internal ByteGate ReadMemory { get; }

    /// <summary>Bytes of digests, those that are being built counted in.</summary>
    internal long DigestBytesTaken => digestBytes.Taken;

    /// <summary>Called once, from any thread, when the device has failed; it must not throw. From then on the host does its work. Default
    /// none.</summary>
    public Action<KvError>? OnDeviceFault
    {
        get => space.OnFault;
        set => space.OnFault = value;
    }

    /// <summary>Called at the first request that the device refused without having failed, from any thread; it must not throw. Later ones
    /// are counted alone. Default none.</summary>
    public Action<KvError>? OnDeviceRefusal
    {
        get => space.OnRefusal;
        set => space.OnRefusal = value;
    }

    /// <summary>The hot set, for tests.</summary>
    internal HotSet Hot => hot;

    /// <summary>Takes a sequence's turn, for tests.</summary>
    internal HeldTurn TakeTurn(ushort ns, string name)
    {
        Turns turns = table.Find(ns, name)!.Turns;
        return turns.TryEnter() ? new HeldTurn(turns) : throw new InvalidOperationException("the turn is taken");
    }

    /// <inheritdoc/>
    public Result<SequenceInfo> Describe(ushort ns, string name) =>
        table.Find(ns, name)?.Fresh is { } info ? info : Unknown("sequence", name);

    /// <inheritdoc/>
    public IReadOnlyList<SequenceInfo> List(ushort ns, string after, int max) => table.List(ns, after, max);

    /// <summary>Brings the sequences back that were acknowledged before a restart. Called once, after the engine has recovered and
    /// started. Digests are built at the first use of each.</summary>
    /// <returns>How many came back and how many are lost, each because a record of its manifest is damaged or gone.</returns>
    public async ValueTask<(int Restored, int Lost)> RestoreAsync(TimeSpan deadline)
    {
        (List<(SequenceManifest Manifest, List<ManifestBlock> Blocks)> found, int lost) =
            await store.ReadAllAsync(new Deadline(time, deadline));
        int restored = 0;
        foreach ((SequenceManifest manifest, List<ManifestBlock> blocks) in found)
        {
            restoredEpoch = Math.Max(restoredEpoch, manifest.Epoch);
            if (manifest.IsClosed) spread?.NoteClosed(manifest);
            else if (Restore(manifest, blocks)) restored++;
            else lost++;
        }

        counters.Lost(lost);
        return (restored, lost);
    }

    /// <summary>The highest epoch of a cluster's map in a manifest that <see cref="RestoreAsync"/> found; 0 for none.</summary>
    public long RestoredEpoch => restoredEpoch;

    /// <summary>Refuses new calls, waits for those under way, and frees everything. When they take longer than
    /// <see cref="StopTimeout"/>, native memory is left as it is, as they use it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!calls.Close()) return;
        var stopping = new KvError(ErrorCode.ShuttingDown, "recall");
        foreach (SequenceGrain grain in table.All().Concat(parts.All())) grain.Turns.Close(stopping);
        if (!await new Deadline(time, StopTimeout).WaitAsync(calls.Empty)) return;
        pool.Dispose();
        hot.Dispose();
        device.Dispose();
        space.Close();
        foreach (SequenceGrain grain in table.All().Concat(parts.All())) grain.State?.Dispose();
    }

    internal static KvError Unknown(string field, string name) => KvError.InvalidArgument(field, name, "a sequence that is open");

    private bool Restore(SequenceManifest manifest, List<ManifestBlock> blocks)
    {
        IReadOnlyList<NamespaceDescriptor> namespaces = engine.Namespaces;
        for (ushort ns = 0; ns < namespaces.Count; ns++)
        {
            if (namespaces[ns].Id != manifest.Namespace) continue;
            if (CheckOpen(namespaces[ns].Profile, manifest.Digests, manifest.Rotation) is not null) return false;
            SequenceState state = NewState(namespaces[ns].Profile, manifest.Digests, manifest.Rotation);
            if (!table.FindOrAdd(ns, manifest.Name, out bool isNew).TryGet(out SequenceGrain? grain, out _) || !isNew) return false;
            state.Restore(
                [.. blocks.Select((block, i) =>
                    new SequenceBlock(block.Id, NextBlockNumber(), block.PayloadCrc, null, manifest.IsAlone(i)))],
                manifest.Tokens, manifest.Segments);
            (grain.Epoch, grain.Version) = (manifest.Epoch, manifest.Version);
            grain.LastVersion = manifest.Version;
            grain.Set(state);
            return true;
        }

        return false;
    }

    private SequenceState NewState(ModelProfile profile, IReadOnlyList<DigestSpec> specs, RopeRotation? rotation) =>
        NewState(profile, specs, rotation, spread is null ? digests : null);

    /// <summary>A state without blocks. In a cluster the digests are those of parts, and a sequence has none itself.</summary>
    private static SequenceState NewState(
        ModelProfile profile, IReadOnlyList<DigestSpec> specs, RopeRotation? rotation,
        Func<DigestSpec, BlockLayout, RopeRotation?, DigestIndex>? digests)
    {
        var layout = new BlockLayout(profile);
        return new SequenceState(
            layout, specs, rotation, digests is null ? [] : [.. specs.Select(spec => digests(spec, layout, rotation))]);
    }

    private long NextBlockNumber() => Interlocked.Increment(ref blockNumbers);
}
