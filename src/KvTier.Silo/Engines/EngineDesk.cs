using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Clustering;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Engines;

/// <summary>
/// What the silo does for engines beside blocks: compares what they say of themselves, and says what is worth loading. In a cluster the
/// engines of a namespace are known to its home, the owner of a group that is named after it; a silo that can't reach the home compares
/// with what it has heard itself. Thread-safe.
/// </summary>
internal sealed class EngineDesk : IPeerHandler
{
    /// <summary>The only operation of other silos.</summary>
    private const ushort HelloOp = PeerOps.Engines;

    /// <summary>Differences that are remembered as logged.</summary>
    private const int LoggedMax = 4096;

    private readonly SiloOptions options;
    private readonly BlockEngine engine;
    private readonly ILogger logger;
    private readonly EngineBook book;
    private readonly Lock gate = new();
    private readonly HashSet<(NamespaceId, string, string, string, string)> logged = [];
    private readonly Dictionary<string, long> found = new(StringComparer.Ordinal);
    private long hellos;

    /// <summary>Makes it.</summary>
    public EngineDesk(SiloOptions options, BlockEngine engine, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.engine = engine;
        this.logger = logger;
        book = new EngineBook(TimeSpan.FromMinutes(options.Engines.ForgetMinutes), time);
    }

    /// <summary>The silo's part in its cluster; null outside of one. Set before anybody is accepted.</summary>
    public SiloCluster? Cluster { get; set; }

    /// <summary>How fast blocks come.</summary>
    public BandwidthMeter Bandwidth { get; } = new();

    /// <summary>The engines that this silo knows of.</summary>
    public EngineBook Book => book;

    /// <summary>Hellos of engines.</summary>
    public long Hellos => Interlocked.Read(ref hellos);

    /// <summary>Differences found, by field.</summary>
    public IReadOnlyList<(string Field, long Count)> Differences
    {
        get
        {
            lock (gate) return [.. found.Select(each => (each.Key, each.Value))];
        }
    }

    /// <summary>Notes an engine, and says in what it differs from others.</summary>
    public async ValueTask<Result<EngineHelloResponse>> HelloAsync(NamespaceDescriptor ns, EngineHelloRequest hello, TimeSpan deadline)
    {
        Interlocked.Increment(ref hellos);
        EngineHelloResponse here = book.Hello(ns.Id, hello);
        EngineHelloResponse answer = await AskHomeAsync(ns.Id, hello, here, deadline);
        logger.EngineCame(ns.Name, hello.Engine, hello.Version, hello.Instance, answer.Engines);
        Report(ns, hello, answer);
        return answer;
    }

    /// <summary>Says how many blocks of a prefix are worth loading.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ids">The blocks in their order.</param>
    /// <param name="terms">By what to judge.</param>
    /// <param name="tiers">Where they are, as the client has found out; null to look here.</param>
    /// <param name="isLocal">True for a client that has mapped host memory.</param>
    public LoadableResponse Loadable(ushort ns, ReadOnlySpan<BlockId> ids, LoadableTerms terms, TierSet[]? tiers, bool isLocal)
    {
        NamespaceDescriptor descriptor = engine.Namespaces[ns];
        ModelProfile profile = descriptor.Profile;
        LoadBlock[] blocks = tiers is null ? Here(ns, ids) : Told(tiers, terms.BlockBytes > 0 ? terms.BlockBytes : profile.BlockBytes);
        double prefill = terms.PrefillTokensPerSecond > 0 ? terms.PrefillTokensPerSecond : options.Engines.PrefillRateOf(descriptor);
        int blockTokens = terms.BlockTokens > 0 ? terms.BlockTokens : profile.BlockTokens;
        LoadRates rates = terms.BytesPerSecond > 0
            ? new LoadRates(terms.BytesPerSecond, double.PositiveInfinity, double.PositiveInfinity)
            : new LoadRates(
                Bandwidth.RateOf(isLocal ? LoadPath.Local : LoadPath.Host), Bandwidth.RateOf(LoadPath.Ssd),
                Bandwidth.RateOf(LoadPath.Peer));
        return CostGate.Decide(blocks, rates, blockTokens, prefill, options.Engines.Gate);
    }

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) =>
        ValueTask.FromResult(OnCall(request));

    private Result<PeerMessage> OnCall(PeerMessage request)
    {
        ReadOnlySpan<byte> body = request.Body.Span;
        if (request.Op != HelloOp || body.Length < NamespaceId.SizeBytes)
            return new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}", "an operation that this silo knows");
        Result<EngineHelloRequest> read = EngineHelloRequest.Read(body[NamespaceId.SizeBytes..], options.Limits);
        if (!read.TryGet(out EngineHelloRequest? hello, out KvError? error)) return error;
        EngineHelloResponse answer = book.Hello(NamespaceId.Read(body), hello);
        using var buffer = new FrameBuffer();
        answer.Write(buffer);
        return new PeerMessage(request.Op, Cluster?.Map.Epoch ?? 0, buffer.WrittenMemory.ToArray(), default);
    }

    private async ValueTask<EngineHelloResponse> AskHomeAsync(
        NamespaceId ns, EngineHelloRequest hello, EngineHelloResponse here, TimeSpan deadline)
    {
        if (Cluster is not { } cluster) return here;
        ClusterMap map = cluster.Map;
        int home = map.OwnerOf(BlockId.Compute(ns, "engines"u8));
        if (home < 0) return here with { Complete = false };
        if (map.Silos[home].Name == options.Name) return here;
        Result<PeerMessage> called = await cluster.Peers.CallAsync(map.Silos[home], RequestOf(ns, hello, map.Epoch), deadline);
        if (!called.TryGet(out PeerMessage? answer, out _)) return here with { Complete = false };
        return EngineHelloResponse.Read(answer.Body.Span).TryGet(out EngineHelloResponse? read, out _)
            ? read
            : here with { Complete = false };
    }

    private static PeerMessage RequestOf(NamespaceId ns, EngineHelloRequest hello, long epoch)
    {
        using var buffer = new FrameBuffer();
        hello.Write(buffer);
        var body = new byte[NamespaceId.SizeBytes + buffer.WrittenCount];
        ns.WriteTo(body);
        buffer.WrittenMemory.CopyTo(body.AsMemory(NamespaceId.SizeBytes));
        return new PeerMessage(HelloOp, epoch, body, default);
    }

    private void Report(NamespaceDescriptor ns, EngineHelloRequest hello, EngineHelloResponse answer)
    {
        foreach (EngineDifference each in answer.Differences)
        {
            lock (gate)
            {
                // Engines say hello again and again; what is known is not said twice.
                if (logged.Count >= LoggedMax) logged.Clear();
                if (!logged.Add((ns.Id, hello.Instance, each.Field, each.Mine, each.Theirs))) continue;
                found[each.Field] = found.GetValueOrDefault(each.Field) + 1;
            }

            logger.EnginesDiffer(
                ns.Name, hello.Engine, hello.Instance, each.Field, each.Mine, each.Whose, each.Theirs, each.Fix);
        }
    }

    private LoadBlock[] Here(ushort ns, ReadOnlySpan<BlockId> ids)
    {
        var tiers = new TierSet[ids.Length];
        int count = engine.Prefix(ns, ids, tiers, touch: false);
        var blocks = new List<LoadBlock>(count);
        for (int i = 0; i < count; i++)
        {
            BlockInfo info = engine.Describe(ns, ids[i]);
            if (info.Reason != MissReason.None) break;
            blocks.Add(new LoadBlock(PathOf(info.Tiers), info.Length));
        }

        return [.. blocks];
    }

    private static LoadBlock[] Told(TierSet[] tiers, long blockBytes) =>
        [.. tiers.TakeWhile(tier => tier != TierSet.None).Select(tier => new LoadBlock(PathOf(tier), blockBytes))];

    private static LoadPath PathOf(TierSet tiers) =>
        (tiers & (TierSet.Host | TierSet.Device)) != TierSet.None ? LoadPath.Host : LoadPath.Ssd;
}
