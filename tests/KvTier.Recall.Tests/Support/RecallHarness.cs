using KvTier.Engine;
using KvTier.Memory;
using KvTier.Storage;

namespace KvTier.Recall.Tests;

/// <summary>A recall service over an engine, an arena and, unless told otherwise, a real log in a folder of its own.</summary>
internal sealed class RecallHarness : IAsyncDisposable
{
    internal static readonly TimeSpan Guard = TimeSpan.FromSeconds(60);

    private RecallOptions options;
    private readonly EngineOptions engineOptions;
    private readonly long hostBytes;
    private readonly bool durable;
    private readonly TempDirectory directory = new();
    private readonly TimeProvider time;
    private Arena arena = null!;
    private BlockLog? log;

    private RecallHarness(
        ModelProfile profile, RecallOptions options, EngineOptions engineOptions, long hostBytes, bool durable, TimeProvider time)
    {
        Descriptor = new NamespaceDescriptor("default", profile);
        Layout = new BlockLayout(profile);
        this.options = options;
        this.engineOptions = engineOptions;
        this.hostBytes = hostBytes;
        this.durable = durable;
        this.time = time;
    }

    internal NamespaceDescriptor Descriptor { get; }

    internal BlockLayout Layout { get; }

    internal IRecallDevice? Device { get; private init; }

    /// <summary>Makes the service one of a cluster's.</summary>
    internal Action<RecallService>? Join { get; private init; }

    internal BlockEngine Engine { get; private set; } = null!;

    internal RecallService Recall { get; private set; } = null!;

    internal ushort Namespace { get; private set; }

    internal string LogPath => directory["log"];

    internal (int Restored, int Lost) Restored { get; private set; }

    internal static async Task<RecallHarness> StartAsync(
        ModelProfile? profile = null, RecallOptions? options = null, EngineOptions? engine = null, long hostBytes = 32 << 20,
        bool durable = true, TimeProvider? time = null, IRecallDevice? device = null, Action<RecallService>? join = null)
    {
        var harness = new RecallHarness(
            profile ?? Shapes.Gqa(), options ?? new RecallOptions { HotSetBytes = 1 << 20, Workers = 2 },
            engine ?? new EngineOptions { MissLedgerEntries = 4096 }, hostBytes, durable, time ?? TimeProvider.System)
        {
            Device = device,
            Join = join,
        };
        await harness.BeginAsync();
        return harness;
    }

    /// <summary>Starts over from what is in the log.</summary>
    /// <param name="drain">False to die without a last word.</param>
    /// <param name="with">Other options than before; null for the same.</param>
    internal async Task RestartAsync(bool drain, RecallOptions? with = null)
    {
        await EndAsync(drain);
        options = with ?? options;
        await BeginAsync();
    }

    internal async Task<BlockId> PutAsync(BlockPayload block)
    {
        byte[] key = System.Text.Encoding.ASCII.GetBytes(block.Key);
        BlockId id = BlockId.Compute(Descriptor.Id, key);
        PutBegin begin;
        Reservation reservation;
        while (!TryBegin(id, key, block.Bytes.Length, out begin, out reservation))
            Assert.True(await Engine.WaitForRoomAsync(block.Bytes.Length, Guard), "no room for a block");
        if (begin == PutBegin.Present) return id;
        Assert.Equal(PutBegin.Reserved, begin);
        block.Bytes.CopyTo(Engine.Arena.Slice(reservation.Offset, block.Bytes.Length));
        Assert.Equal(SealStatus.Stored, Engine.Seal(reservation, Crc32C.Compute(block.Bytes), out _));
        return id;
    }

    private bool TryBegin(BlockId id, byte[] key, int length, out PutBegin begin, out Reservation reservation) => Engine.TryBeginPut(
        new PutRequest { Namespace = Namespace, Id = id, Key = key, Length = length }, out begin, out reservation);

    internal async Task<List<BlockId>> PutAsync(IEnumerable<BlockPayload> blocks)
    {
        var ids = new List<BlockId>();
        foreach (BlockPayload block in blocks) ids.Add(await PutAsync(block));
        return ids;
    }

    internal async Task FlushAsync()
    {
        if (durable) Assert.Null(await Engine.WaitDurableAsync(Engine.CurrentTicket, Guard));
    }

    /// <summary>Drops the copies in host memory, so that the blocks are in the log alone.</summary>
    internal async Task DemoteAsync(IEnumerable<BlockId> ids)
    {
        await FlushAsync();
        foreach (BlockId id in ids) Assert.True(Engine.Demote(Namespace, id), $"{id} stays in host memory");
    }

    internal async Task<SequenceInfo> OpenAsync(string name, params DigestSpec[] digests)
    {
        Result<SequenceInfo> opened = await Recall.OpenAsync(
            new SequenceOpen
            {
                Namespace = Namespace,
                Name = name,
                Digests = digests.Length > 0 ? digests : [Shapes.Mean],
                Rotation = Descriptor.Profile.Rope.PreRotation ? Shapes.Rotation : null,
            },
            Guard);
        Assert.Null(opened.Error);
        return opened.Value;
    }

    internal async Task<SequenceInfo> AppendAsync(string name, IReadOnlyList<BlockId> ids, long tokens, bool replaceLast = false)
    {
        Result<SequenceInfo> appended = await Recall.AppendAsync(Namespace, name, ids.ToArray(), tokens, replaceLast, Guard);
        Assert.Null(appended.Error);
        return appended.Value;
    }

    /// <summary>Stores a context's blocks and makes a sequence of them.</summary>
    internal async Task<List<BlockId>> AddAsync(string name, KvContext context, params DigestSpec[] digests)
    {
        List<BlockId> ids = await PutAsync(context.Blocks());
        await OpenAsync(name, digests);
        await AppendAsync(name, ids, context.Tokens);
        return ids;
    }

    internal async Task<RecallAnswer> RecallAsync(RecallRequest request)
    {
        Result<RecallAnswer> answer = await Recall.RecallAsync(request, Guard);
        Assert.Null(answer.Error);
        return answer.Value;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync(drain: false);
        directory.Dispose();
    }

    private async Task BeginAsync()
    {
        arena = Arena.Create(new ArenaOptions { CapacityBytes = hostBytes, Shared = false }).Value;
        if (durable)
        {
            var logOptions = new LogOptions { Directory = LogPath, CapBytes = 256 << 20, BlockBytesMax = 4 << 20, CloseTimeout = Guard };
            log = BlockLog.Open(logOptions, TimeProvider.System).Value;
        }

        Engine = new BlockEngine(engineOptions, arena, log, TimeProvider.System);
        Recall = new RecallService(options, Engine, time, Device);
        Join?.Invoke(Recall);
        Engine.Recover([Descriptor, RecallService.ManifestNamespace]);
        Namespace = Engine.OpenNamespace(Descriptor).Value;
        Engine.Start();
        Restored = await Recall.RestoreAsync(Guard);
    }

    private async Task EndAsync(bool drain)
    {
        await Recall.DisposeAsync();
        if (drain) Assert.Null(await Engine.DrainAsync(Guard));
        await Engine.DisposeAsync();
        if (log is not null) await log.DisposeAsync();
        log = null;
        Assert.Equal(0, arena.UsedBytes);
        arena.Dispose();
    }
}
