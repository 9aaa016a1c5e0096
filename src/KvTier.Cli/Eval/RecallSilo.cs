using KvTier.Client;
using KvTier.Recall;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli;

/// <summary>An embedded silo that holds the keys and values of an evaluation as blocks, and recalls from them.</summary>
internal sealed class RecallSilo : IAsyncDisposable
{
    private const long SmallestHost = 64L << 20;
    private static readonly TimeSpan deadline = TimeSpan.FromMinutes(10);
    private readonly RecallTensors tensors;
    private readonly TensorBlocks blocks;
    private readonly ILoggerFactory logs;
    private readonly SiloRunner silo;
    private readonly RecallService sequences;
    private readonly ushort ns;
    private readonly BlockId[] ids;
    private readonly RecallTier tier;
    private readonly List<DigestSpec> open = [];

    private RecallSilo(
        RecallTensors tensors, TensorBlocks blocks, ILoggerFactory logs, SiloRunner silo, RecallService sequences, ushort ns,
        BlockId[] ids, RecallTier tier)
    {
        this.tier = tier;
        this.tensors = tensors;
        this.blocks = blocks;
        this.logs = logs;
        this.silo = silo;
        this.sequences = sequences;
        this.ns = ns;
        this.ids = ids;
    }

    /// <summary>Starts a silo and stores the tensors.</summary>
    /// <param name="tensors">Keys and values of one layer.</param>
    /// <param name="tier">Where they are to lie when the first recall comes.</param>
    /// <param name="folder">Has the socket and the log.</param>
    /// <param name="cancel">Ends it early.</param>
    public static async Task<RecallSilo> StartAsync(RecallTensors tensors, RecallTier tier, TempFolder folder, CancellationToken cancel)
    {
        var content = new TensorBlocks("eval", [tensors]);
        ILoggerFactory errors = SiloRunner.Logs(LogLevel.Error);
        SiloRunner runner = await SiloRunner.StartAsync(OptionsOf(content, tier, folder), errors, cancel);
        var descriptor = new NamespaceDescriptor("eval", content.Profile);
        ushort handle = runner.Engine.OpenNamespace(descriptor).OrFail();
        var options = new RecallOptions { HotSetBytes = tier == RecallTier.Ssd ? 1 << 20 : 0 };
        var service = new RecallService(options, runner.Engine, TimeProvider.System);
        await using KvTierClient client = await runner.ConnectAsync(TransportMode.Auto, cancel);
        KvNamespace space = (await client.OpenNamespaceAsync(descriptor, cancel)).OrFail();
        BlockId[] stored = await content.StoreAsync(space, tier == RecallTier.Ssd ? AckLevel.Ssd : AckLevel.Memory, cancel);
        return new RecallSilo(tensors, content, errors, runner, service, handle, stored, tier);
    }

    /// <summary>Opens a sequence with the digests of a selector, unless one is open.</summary>
    /// <returns>Recalls from it.</returns>
    public async Task<IRecallSource> OpenAsync(Selector selector, CancellationToken cancel)
    {
        selector.Validate(blocks.Profile).OrFail();
        string name = NameOf(selector.Digest);
        if (!open.Contains(selector.Digest))
        {
            var request = new SequenceOpen { Namespace = ns, Name = name, Digests = [selector.Digest] };
            (await sequences.OpenAsync(request, deadline)).OrFail();
            open.Add(selector.Digest);
            (await sequences.AppendAsync(ns, name, ids, blocks.Tokens, replaceLast: false, deadline)).OrFail();
            // Digests were built from the blocks, which brought them to host memory.
            if (tier == RecallTier.Ssd) DemoteAll();
        }

        return new ServiceRecall(tensors, selector, request => sequences.RecallAsync(request with { Namespace = ns }, deadline), name);
    }

    /// <summary>Closes the sequence with some digests, which frees them.</summary>
    public async Task CloseAsync(DigestSpec digest, CancellationToken cancel)
    {
        if (open.Remove(digest)) (await sequences.CloseAsync(ns, NameOf(digest), deadline)).OrFail();
    }

    /// <summary>Chunks with a key that is no finite number.</summary>
    public Task<long> QuarantinedChunksAsync(Selector selector, CancellationToken cancel) =>
        Task.FromResult(sequences.Describe(ns, NameOf(selector.Digest)).OrFail().QuarantinedChunks);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await sequences.DisposeAsync();
        await silo.DisposeAsync();
        logs.Dispose();
    }

    private void DemoteAll()
    {
        foreach (BlockId id in ids) silo.Engine.Demote(ns, id);
        int left = ids.Count(id => silo.Engine.Describe(ns, id).Tiers != TierSet.Ssd);
        if (left > 0) throw new CliException(ExitCodes.Fault, $"eval: {left} blocks did not leave host memory");
    }

    private static SiloOptions OptionsOf(TensorBlocks blocks, RecallTier tier, TempFolder folder) => SiloOptions.Default with
    {
        Name = "eval",
        Tcp = false,
        UnixSocket = folder.File("s"),
        Http = new HttpOptions { Enabled = false },
        HostBytes = tier == RecallTier.Ssd ? SmallestHost : Math.Max(SmallestHost, (blocks.Bytes * 5 / 4) + (16 << 20)),
        DataDirectory = tier == RecallTier.Ssd ? folder.File("data") : null,
        SsdBytes = Math.Max(1L << 30, blocks.Bytes * 2),
    };

    private static string NameOf(DigestSpec digest) => $"{digest.Kind}-{digest.GetHashCode():x8}";
}
