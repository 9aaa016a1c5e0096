using System.Diagnostics;
using KvTier.Client;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli;

/// <summary>An embedded silo that holds keys and values as blocks, and recalls from them over the local path.</summary>
internal sealed class RecallSilo : IAsyncDisposable
{
    private const long SmallestHost = 64L << 20;
    private const int AppendBlocksMax = 1024;

    /// <summary>Longest that blocks may take to come to the device; its kernels are built first.</summary>
    private static readonly TimeSpan moveUpDeadline = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan deadline = TimeSpan.FromMinutes(5);
    private readonly TensorBlocks blocks;
    private readonly ILoggerFactory logs;
    private readonly SiloRunner silo;
    private readonly KvTierClient client;
    private readonly KvNamespace ns;
    private readonly BlockId[] ids;
    private readonly Dictionary<DigestSpec, KvSequence> open = [];
    private readonly bool demotes;
    private bool isOnDevice;

    private RecallSilo(
        TensorBlocks blocks, ILoggerFactory logs, SiloRunner silo, KvTierClient client, KvNamespace ns, BlockId[] ids, bool demotes)
    {
        this.blocks = blocks;
        this.logs = logs;
        this.silo = silo;
        this.client = client;
        this.ns = ns;
        this.ids = ids;
        this.demotes = demotes;
    }

    /// <summary>Where recalls are sent to.</summary>
    public KvNamespace Namespace => ns;

    /// <summary>Starts a silo for tensors and stores them.</summary>
    /// <param name="tensors">Keys and values of one layer.</param>
    /// <param name="tier">Where they are to lie when the first recall comes.</param>
    /// <param name="folder">Has the socket and the log.</param>
    /// <param name="cancel">Ends it early.</param>
    public static Task<RecallSilo> StartAsync(RecallTensors tensors, RecallTier tier, TempFolder folder, CancellationToken cancel)
    {
        var content = new TensorBlocks("eval", tensors);
        SiloOptions options = SiloOptions.Default with
        {
            HostBytes = tier == RecallTier.Ssd ? SmallestHost : Math.Max(SmallestHost, (content.Bytes * 5 / 4) + (16 << 20)),
            DataDirectory = tier == RecallTier.Ssd ? folder.File("data") : null,
            SsdBytes = Math.Max(1L << 30, content.Bytes * 2),
            Recall = new RecallSettings { HotSetBytes = tier == RecallTier.Ssd ? 1 << 20 : 0 },
            Device = tier == RecallTier.Device ? DeviceFor(content) : new DeviceSettings(),
        };
        return StartAsync(content, options, tier == RecallTier.Ssd, folder, cancel);
    }

    /// <summary>Starts a silo with given options and stores blocks.</summary>
    /// <param name="content">The blocks.</param>
    /// <param name="options">Sizes of the tiers; the rest is set here.</param>
    /// <param name="demotes">True to have every block leave host memory for the log once its digests are built.</param>
    /// <param name="folder">Has the socket.</param>
    /// <param name="cancel">Ends it early.</param>
    public static async Task<RecallSilo> StartAsync(
        TensorBlocks content, SiloOptions options, bool demotes, TempFolder folder, CancellationToken cancel)
    {
        options = options with { Name = "eval", Tcp = false, UnixSocket = folder.File("s"), Http = new HttpOptions { Enabled = false } };
        ILoggerFactory errors = SiloRunner.Logs(LogLevel.Error);
        SiloRunner runner = await SiloRunner.StartAsync(options, errors, cancel);
        try
        {
            if (options.Device.AllowCpu && !runner.HasDevice)
                throw new CliException(ExitCodes.Unavailable, "eval: no GPU, and no OpenCL device such as PoCL");
            KvTierClient connected = await runner.ConnectAsync(TransportMode.Local, cancel);
            var descriptor = new NamespaceDescriptor("eval", content.Profile);
            KvNamespace space = (await connected.OpenNamespaceAsync(descriptor, cancel)).OrFail();
            BlockId[] stored = await content.StoreAsync(space, demotes ? AckLevel.Ssd : AckLevel.Memory, cancel);
            return new RecallSilo(content, errors, runner, connected, space, stored, demotes);
        }
        catch
        {
            await runner.DisposeAsync();
            errors.Dispose();
            throw;
        }
    }

    /// <summary>Opens a sequence with the digests of a selector, unless one is open.</summary>
    public async Task<KvSequence> OpenAsync(Selector selector, CancellationToken cancel)
    {
        selector.Validate(blocks.Profile).OrFail();
        if (open.TryGetValue(selector.Digest, out KvSequence? found)) return found;
        var options = new SequenceOptions { Digests = [selector.Digest] };
        string name = $"{selector.Digest.Kind}-{open.Count}-{Guid.NewGuid():n}";
        KvSequence sequence = (await ns.OpenSequenceAsync(name, options, deadline, cancel)).OrFail();
        open[selector.Digest] = sequence;
        for (int at = 0; at < ids.Length; at += AppendBlocksMax)
        {
            int count = Math.Min(AppendBlocksMax, ids.Length - at);
            long tokens = Math.Min((long)count * TensorBlocks.BlockTokens, blocks.Tokens - ((long)at * TensorBlocks.BlockTokens));
            (await sequence.AppendAsync(ids.AsMemory(at, count), tokens, timeout: deadline, cancellationToken: cancel)).OrFail();
        }

        // Digests were built from the blocks, which brought them to host memory.
        if (demotes) DemoteAll();
        if (silo.HasDevice && !isOnDevice) await MoveUpAsync(sequence, selector, cancel);
        return sequence;
    }

    /// <summary>Closes the sequence with some digests, which frees them.</summary>
    public async Task CloseAsync(DigestSpec digest, CancellationToken cancel)
    {
        if (open.Remove(digest, out KvSequence? sequence)) (await sequence.CloseAsync(deadline, cancel)).OrFail();
    }

    /// <summary>The tiers of a block now.</summary>
    public TierSet TiersOf(int block) => silo.Engine.Describe(Handle, ids[block]).Tiers;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await client.DisposeAsync();
        await silo.DisposeAsync();
        logs.Dispose();
    }

    private ushort Handle => silo.Engine.OpenNamespace(ns.Descriptor).OrFail();

    // Twice the blocks, as digests are there too; a CPU serves where there is no GPU.
    private static DeviceSettings DeviceFor(TensorBlocks content)
    {
        var settings = new DeviceSettings { Driver = "auto", AllowCpu = true };
        return settings with { Bytes = settings.ScratchBytes + (2 * content.Bytes) + (64 << 20) };
    }

    /// <summary>Recalls everything until every block has been copied to the device.</summary>
    private async Task MoveUpAsync(KvSequence sequence, Selector selector, CancellationToken cancel)
    {
        var watch = Stopwatch.StartNew();
        ModelProfile profile = blocks.Profile;
        var query = new RecallQuery
        {
            Mode = RecallMode.Attend,
            Selector = new Selector { Name = "all", Digest = selector.Digest, Budget = new RecallBudget(BudgetKind.Share, 1) },
            QueryHeads = profile.KvHeads,
            Items =
            [
                new RecallQueryItem
                {
                    Sequence = sequence.Name,
                    Layer = 0,
                    Queries = new float[profile.KvHeads * profile.HeadDim],
                    Output = new float[profile.KvHeads * profile.HeadDim],
                    Lse = new float[profile.KvHeads],
                },
            ],
        };
        while (watch.Elapsed < moveUpDeadline)
        {
            (await ns.RecallAsync(query, deadline, cancel)).OrFail();
            isOnDevice = Enumerable.Range(0, ids.Length).All(block => TiersOf(block).HasFlag(TierSet.Device));
            if (isOnDevice) return;
        }

        throw new CliException(ExitCodes.Fault, $"eval: not all of {ids.Length} blocks came to the device");
    }

    private void DemoteAll()
    {
        foreach (BlockId id in ids) silo.Engine.Demote(Handle, id);
        int left = Enumerable.Range(0, ids.Length).Count(block => TiersOf(block) != TierSet.Ssd);
        if (left > 0) throw new CliException(ExitCodes.Fault, $"eval: {left} of {ids.Length} blocks did not leave host memory");
    }
}
