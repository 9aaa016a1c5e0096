using KvTier.Engine;
using KvTier.Kernels.Device;
using KvTier.Memory;
using KvTier.Recall;
using KvTier.Silo.Devices;
using KvTier.Storage;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo;

/// <summary>The tiers of a silo and the engine over them, opened in order and closed in the opposite one.</summary>
internal sealed class SiloStore : IAsyncDisposable
{
    /// <summary>Longest that a start reads manifests of sequences.</summary>
    private static readonly TimeSpan restoreDeadline = TimeSpan.FromMinutes(10);

    private readonly SiloOptions options;
    private readonly DataDirectory? directory;
    private readonly BlockLog? log;
    private readonly Arena arena;
    private readonly NamespaceDescriptor[] known;
    private readonly TimeProvider time;
    private RecallDeviceAdapter? adapter;
    private RecallService? recall;

    private SiloStore(SiloOptions options, DataDirectory? directory, BlockLog? log, Arena arena, NamespaceDescriptor[] known,
        TimeProvider time)
    {
        this.options = options;
        this.directory = directory;
        this.log = log;
        this.arena = arena;
        this.known = known;
        Engine = new BlockEngine(options.ToEngineOptions(), arena, log, time);
        this.time = time;
        Namespaces = new NamespaceRegistry(Engine, options.Limits, directory is null ? null : directory.Namespaces.Save);
    }

    /// <summary>The engine.</summary>
    public BlockEngine Engine { get; }

    /// <summary>The sequences, and recall over them; from <see cref="Recover"/> on.</summary>
    public RecallService Recall => recall ?? throw new InvalidOperationException("the store has not recovered");

    /// <summary>The figures of recall.</summary>
    public RecallStats RecallStats => recall?.Stats ?? new RecallStats();

    /// <summary>The device of the device tier; null when there is none.</summary>
    public RecallDevice? Device { get; private set; }

    /// <summary>The data directory; null when there is none.</summary>
    public DataDirectory? Directory => directory;

    /// <summary>Registers namespaces, in the data directory too.</summary>
    public NamespaceRegistry Namespaces { get; }

    /// <summary>True when closing did not wait any longer for an SSD that hangs; log, memory and folder are then as they were.</summary>
    public bool IsAbandoned => Engine.IsAbandoned || log is { IsAbandoned: true };

    /// <summary>What recovery found; null without a data directory.</summary>
    public RecoverySummary? Recovery { get; private set; }

    /// <summary>Opens folder, log and memory. Nothing is served before <see cref="Recover"/>.</summary>
    public static Result<SiloStore> Open(SiloOptions options, TimeProvider time, ILogger logger)
    {
        var arenaOptions = new ArenaOptions
        {
            CapacityBytes = options.HostBytes,
            Shared = options.SharedMemory,
            Prefault = options.Prefault
        };
        int stale = Arena.ReapStale(arenaOptions.SharedDirectory);
        if (stale > 0) logger.StaleArenasRemoved(stale);
        DataDirectory? folder = null;
        BlockLog? opened = null;
        NamespaceDescriptor[]? registered = [];
        KvError? error;
        if (options.DataDirectory is { } path)
        {
            if (!DataDirectory.Open(path).TryGet(out folder, out error)) return error;
            if (!folder.Namespaces.Load().TryGet(out registered, out error)
                || !BlockLog.Open(LogOptionsOf(options, folder), time).TryGet(out opened, out error))
            {
                folder.Dispose();
                return error;
            }
        }

        if (!Arena.Create(arenaOptions).TryGet(out Arena? memory, out error))
        {
            opened?.DisposeAsync().AsTask().GetAwaiter().GetResult();
            folder?.Dispose();
            return error;
        }

        if (memory.Fallback is { } reason) logger.ArenaFallback(reason);
        return new SiloStore(options, folder, opened, memory, registered, time);
    }

    /// <summary>Rebuilds the index, registers the namespaces of the options, and starts the engine.</summary>
    /// <param name="openDevice">Opens a device.</param>
    /// <param name="logger">Where to log.</param>
    /// <returns>Null, or why the silo can't serve.</returns>
    public KvError? Recover(Func<DeviceOptions, Result<RecallDevice>> openDevice, ILogger logger)
    {
        // Powers of two: a dying device does not flood the log.
        Engine.OnReadError = count =>
        {
            if (long.IsPow2(count)) logger.SsdReadFailed(count);
        };
        if ((OpenDevice(openDevice, logger) ?? MakeRecall(logger)) is { } notMade) return notMade;
        Recovery = Engine.Recover(known);
        if (Engine.Stats.UnknownNamespaceRecords is > 0 and var unknown) logger.UnknownNamespaces(unknown);
        if (Engine.Stats.DoubtfulValues is > 0 and var doubtful) logger.DoubtfulValues(doubtful);
        if (Recovery is { } found)
            logger.Recovered(found.Records, found.Elapsed.TotalMilliseconds, found.Clean, found.CorruptRecords, found.BytesCut,
                found.BytesScanned);
        foreach (NamespaceDescriptor descriptor in known)
        {
            if (Engine.OpenNamespace(descriptor).Error is { } error) return error;
        }

        foreach (NamespaceDescriptor descriptor in options.Namespaces)
        {
            if (Namespaces.Open(descriptor).Error is { } error) return error;
        }

        Engine.Start();
        return null;
    }

    /// <summary>Brings the sequences back that were acknowledged before a restart. Called after <see cref="Recover"/>.</summary>
    public async Task RestoreSequencesAsync(ILogger logger)
    {
        (int restored, int lost) = await Recall.RestoreAsync(restoreDeadline);
        if (restored > 0) logger.SequencesRestored(restored);
        if (lost > 0) logger.SequencesLost(lost);
    }

    /// <summary>Closes recall, device, engine, log, memory and folder. Behind an SSD that hangs, log, memory and folder are left to
    /// the end of the process: the kernel may still write into the memory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (recall is not null) await recall.DisposeAsync();
        if (adapter is not null) await adapter.StopAsync();
        Device?.Dispose();
        await Engine.DisposeAsync();
        if (IsAbandoned) return;
        if (log is not null) await log.DisposeAsync();
        if (IsAbandoned) return;
        arena.Dispose();
        directory?.Dispose();
    }

    private KvError? OpenDevice(Func<DeviceOptions, Result<RecallDevice>> open, ILogger logger)
    {
        KvError? error = SiloDevice.Open(options.Device, open, logger, out RecallDevice? device);
        Device = device;
        adapter = device is null ? null : new RecallDeviceAdapter(device, failure => logger.DeviceFailed(failure.Message));
        return error;
    }

    private KvError? MakeRecall(ILogger logger)
    {
        try
        {
            // It registers the namespace of its manifests, which must be known when their records are found.
            recall = new RecallService(
                options.Recall.ToRecallOptions(options.Limits, options.HostBytes, Device?.CapacityBytes ?? 0, options.Cluster.IsOn),
                Engine, time, adapter);
        }
        catch (KvException noRoom)
        {
            return noRoom.Error;
        }

        recall.OnDeviceFault = fault => logger.DeviceFailed(fault.Message);
        recall.OnDeviceRefusal = refusal => logger.DeviceRefused(refusal.Message);
        return null;
    }

    private static LogOptions LogOptionsOf(SiloOptions options, DataDirectory directory) => new()
    {
        Directory = directory.LogPath,
        CapBytes = options.SsdBytes,
        BlockBytesMax = options.Limits.BlockBytesMax,
        ReadDepth = Math.Min(options.SsdReads, 64),
        CloseTimeout = TimeSpan.FromMilliseconds(options.SsdCloseMs),
    };
}
