using KvTier.Client.Tests.Live;
using KvTier.Protocol;
using KvTier.Testing;

namespace KvTier.Client.Tests.Scripted;

/// <summary>What a client does when its silo misbehaves.</summary>
public sealed class ScriptedTests
{
    private static readonly TimeSpan Guard = TimeSpan.FromSeconds(60);

    /// <summary>A deadline that is to pass, and not before its request is sent: that would end the connection.</summary>
    private static readonly TimeSpan brief = TimeSpan.FromSeconds(1);
    private static readonly NamespaceDescriptor Opaque = new("test", Profiles.Opaque);

    [Fact]
    public async Task GetAsync_AfterPut_ReturnsTheBytes()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        (byte[] key, byte[] payload, BlockId id) = Block(ns, 1, 100_000);
        Assert.Equal(PutStatus.Stored, (await ns.PutAsync(key, payload)).Value);
        Assert.Equal(PutStatus.Present, (await ns.PutAsync(key, payload)).Value);
        (BlockResult answer, byte[] bytes) = (await ns.GetArrayAsync(id)).Value;
        Assert.Equal(BlockStatus.HostHit, answer.Status);
        Assert.Equal(payload, bytes);
    }

    [Fact]
    public async Task GetAsync_WhenAPayloadByteIsFlipped_IsACorruptMiss()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        (byte[] key, byte[] payload, BlockId id) = Block(ns, 2, 300_000);
        Assert.True((await ns.PutAsync(key, payload)).IsOk);
        silo.Script = header => header.Opcode == Opcode.Get ? Act.FlipPayload : Act.Answer;
        BlockResult answer = (await ns.GetAsync(new GetBlock(id, new byte[payload.Length]))).Value;
        Assert.Equal((BlockStatus.Miss, MissReason.Corrupt), (answer.Status, answer.Reason));
        Assert.Equal(1, client.CorruptBlocks);
        silo.Script = _ => Act.Answer;
        Assert.True((await ns.GetAsync(new GetBlock(id, new byte[payload.Length]))).Value.IsHit);
    }

    [Theory]
    [InlineData(Act.Garbage)]
    [InlineData(Act.BadBody)]
    [InlineData(Act.StrangeId)]
    public async Task AnyCall_WhenTheSiloBreaksTheProtocol_EndsWithATypedErrorAndReconnects(Act act)
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, options => options.Resilience.Enabled = false);
        await using KvTierClient closing = client;
        silo.Script = header => header.Opcode == Opcode.Ping ? act : Act.Answer;
        Assert.Equal(ErrorCode.ProtocolViolation, (await client.PingAsync())!.Code);
        silo.Script = _ => Act.Answer;
        Assert.Equal(0, (await ns.PrefixAsync(new BlockId[] { new(1, 2) })).Value);
        Assert.Equal(2, silo.Accepted);
    }

    [Fact]
    public async Task AnyCall_WhenTheSiloClosesMidRequest_IsTriedAgain()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        int closes = 2;
        silo.Script = header => header.Opcode == Opcode.Put && Interlocked.Decrement(ref closes) >= 0 ? Act.Close : Act.Answer;
        (byte[] key, byte[] payload, _) = Block(ns, 3, 5000);
        Assert.Equal(PutStatus.Stored, (await ns.PutAsync(key, payload)).Value);
        Assert.Equal(3, silo.Accepted);
    }

    [Fact]
    public async Task AnyCall_WhenTheSiloIsBusy_IsTriedAgain()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        int refusals = 2;
        silo.Script = header => header.Opcode == Opcode.Put && Interlocked.Decrement(ref refusals) >= 0 ? Act.Busy : Act.Answer;
        (byte[] key, byte[] payload, _) = Block(ns, 4, 100);
        Assert.Equal(PutStatus.Stored, (await ns.PutAsync(key, payload)).Value);
    }

    [Fact]
    public async Task AnyCall_WithoutRetries_ReturnsUnavailableWhenTheSiloCloses()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, options => options.Resilience.Enabled = false);
        await using KvTierClient closing = client;
        silo.Script = _ => Act.Close;
        Assert.Equal(ErrorCode.Unavailable, (await ns.PrefixAsync(new BlockId[] { new(1, 2) })).Error!.Code);
    }

    [Fact]
    public async Task AnyCall_WhenTheSiloStalls_EndsAtItsDeadlineAndTheLateAnswerIsThrownAway()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, options => options.Connections = 1);
        await using KvTierClient closing = client;
        silo.Script = header => header.Opcode == Opcode.Prefix ? Act.Hold : Act.Answer;
        Result<int> late = await ns.PrefixAsync(new BlockId[] { new(1, 2) }, timeout: brief).AsTask()
            .WaitAsync(Guard);
        Assert.Equal(ErrorCode.DeadlineExceeded, late.Error!.Code);
        Assert.True(await silo.Held.WaitAsync(Guard));
        silo.Open();
        Assert.Null(await client.PingAsync());
        Assert.Equal(1, silo.Accepted);
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(100)]
    public async Task GetAsync_WhenTheSiloStallsMidPayload_EndsAtItsDeadlineAndTheConnectionLives(int roomBytes)
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, options => options.Connections = 1);
        await using KvTierClient closing = client;
        (byte[] key, byte[] payload, BlockId id) = Block(ns, 5, 1 << 20);
        Assert.True((await ns.PutAsync(key, payload)).IsOk);
        silo.Script = header => header.Opcode == Opcode.Get ? Act.HalfPayload : Act.Answer;
        Result<BlockResult> late = await ns.GetAsync(new GetBlock(id, new byte[roomBytes]), brief).AsTask()
            .WaitAsync(Guard);
        Assert.Equal(ErrorCode.DeadlineExceeded, late.Error!.Code);
        Assert.True(await silo.Held.WaitAsync(Guard));
        silo.Script = _ => Act.Answer;
        silo.Open();
        var destination = new byte[payload.Length];
        Assert.True((await ns.GetAsync(new GetBlock(id, destination))).Value.IsHit);
        Assert.Equal(payload, destination);
        Assert.Equal(1, silo.Accepted);
    }

    [Fact]
    public async Task GetAsync_CancelledMidPayload_ThrowsLeavesTheBufferAloneAndTheConnectionLives()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, options => options.Connections = 1);
        await using KvTierClient closing = client;
        (byte[] key, byte[] payload, BlockId id) = Block(ns, 6, 1 << 20);
        Assert.True((await ns.PutAsync(key, payload)).IsOk);
        silo.Script = header => header.Opcode == Opcode.Get ? Act.HalfPayload : Act.Answer;
        using var leaving = new CancellationTokenSource();
        var destination = new byte[payload.Length];
        Task<Result<BlockResult>> get = ns.GetAsync(new GetBlock(id, destination), default, leaving.Token).AsTask();
        Assert.True(await silo.Held.WaitAsync(Guard));
        leaving.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => get.WaitAsync(Guard));
        Array.Clear(destination);
        silo.Script = _ => Act.Answer;
        silo.Open();
        var again = new byte[payload.Length];
        Assert.True((await ns.GetAsync(new GetBlock(id, again))).Value.IsHit);
        Assert.Equal(payload, again);
        Assert.False(destination.AsSpan().ContainsAnyExcept((byte)0));
        Assert.Equal(1, silo.Accepted);
    }

    [Fact]
    public async Task AnyCall_WithACancelledToken_Throws()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, _) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.PingAsync(default, new CancellationToken(true)).AsTask());
    }

    [Fact]
    public async Task AnyCall_AfterTheSiloHasRestarted_ReconnectsAndOpensTheNamespaceAgain()
    {
        var first = new ScriptedSilo();
        int port = first.Port;
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(first);
        await using KvTierClient closing = client;
        (byte[] key, byte[] payload, BlockId id) = Block(ns, 7, 1000);
        Assert.True((await ns.PutAsync(key, payload)).IsOk);
        await first.DisposeAsync();
        await using var second = new ScriptedSilo(port);
        Assert.Equal(BlockStatus.Miss, (await ns.GetAsync(new GetBlock(id, new byte[1000]))).Value.Status);
        Assert.Equal(PutStatus.Stored, (await ns.PutAsync(key, payload)).Value);
        Assert.Contains(Opcode.NamespaceOpen, second.Seen);
    }

    [Fact]
    public async Task ConnectAsync_WhereNobodyListens_IsUnavailable()
    {
        var silo = new ScriptedSilo();
        string endpoint = silo.Endpoint;
        await silo.DisposeAsync();
        Result<KvTierClient> result = await KvTierClient.ConnectAsync(new KvTierClientOptions { Endpoint = endpoint });
        Assert.Equal(ErrorCode.Unavailable, result.Error!.Code);
        Assert.Contains(endpoint, result.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectAsync_WithTransportLocalOverTcp_IsUnsupported()
    {
        await using var silo = new ScriptedSilo();
        Result<KvTierClient> result = await KvTierClient
            .ConnectAsync(new KvTierClientOptions { Endpoint = silo.Endpoint, Transport = TransportMode.Local });
        Assert.Equal(ErrorCode.Unsupported, result.Error!.Code);
    }

    [Fact]
    public async Task Breaker_AfterManyFailures_OpensAndClosesAfterItsPause()
    {
        await using var silo = new ScriptedSilo();
        var clock = new ManualTimeProvider();
        (KvTierClient client, _) = await ConnectAsync(silo, options =>
        {
            options.TimeProvider = clock;
            options.Resilience.RetriesMax = 0;
            options.Resilience.BreakerTriesMin = 4;
            options.Resilience.BreakerFailureRatio = 0.6;
        });
        await using KvTierClient closing = client;
        silo.Script = header => header.Opcode == Opcode.Ping ? Act.Close : Act.Answer;
        for (int i = 0; i < 10; i++) Assert.Equal(ErrorCode.Unavailable, (await client.PingAsync())!.Code);
        int seen = silo.Seen.Count;
        KvError open = (await client.PingAsync())!;
        Assert.Equal((ErrorCode.Unavailable, "circuit"), (open.Code, open.Field));
        Assert.Equal(seen, silo.Seen.Count);
        silo.Script = _ => Act.Answer;
        clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Null(await client.PingAsync());
        Assert.Null(await client.PingAsync());
    }

    [Fact]
    public async Task PutAsync_AboveALimitOfTheSilo_NamesFieldValueAndLimitAndSendsNothing()
    {
        await using var silo = new ScriptedSilo
        {
            Limits = Limits.Default with
            {
                BatchBlocksMax = 3,
                BlockBytesMax = 1000,
                KeyBytesMax = 8
            }
        };
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        Assert.Equal(KvError.LimitExceeded("block.length", 1001, 1000), (await ns.PutAsync(new byte[8], new byte[1001])).Error);
        Assert.Equal(KvError.LimitExceeded("key.length", 9, 8), (await ns.PutAsync(new byte[9], new byte[10])).Error);
        Assert.Equal(ErrorCode.InvalidArgument, (await ns.PutAsync(Array.Empty<byte>(), new byte[10])).Error!.Code);
        Assert.Equal(KvError.LimitExceeded("batch.count", 4, 3), (await ns.DeleteAsync(new BlockId[4])).Error);
        Assert.DoesNotContain(Opcode.Put, silo.Seen);
        Assert.Null(await client.PingAsync());
    }

    [Fact]
    public async Task DisposeAsync_WithARequestInFlight_EndsItAsUnavailable()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, _) = await ConnectAsync(silo, options => options.Resilience.Enabled = false);
        silo.Script = _ => Act.Ignore;
        Task<KvError?> ping = client.PingAsync().AsTask();
        await LocalTests.WaitUntilAsync(() => silo.Seen.Contains(Opcode.Ping));
        await client.DisposeAsync();
        Assert.Equal(ErrorCode.Unavailable, (await ping.WaitAsync(Guard))!.Code);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.PingAsync().AsTask());
    }

    [Fact]
    public async Task ManyCallers_OverTwoConnections_EachGetTheirOwnBytes()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        await Parallel.ForAsync(0, 64, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (caller, _) =>
        {
            for (int round = 0; round < 8; round++)
            {
                (byte[] key, byte[] payload, BlockId id) = Block(ns, (caller * 100) + round,
                    1 + (((caller * 7919) + (round * 104729)) % 90_000));
                Assert.Equal(PutStatus.Stored, (await ns.PutAsync(key, payload)).Value);
                var destination = new byte[payload.Length];
                Assert.True((await ns.GetAsync(new GetBlock(id, destination))).Value.IsHit);
                Assert.Equal(-1, BlockBytes.FirstWrong(id, destination));
            }
        });

        // The second one is dialled beside the requests.
        await LocalTests.WaitUntilAsync(() => client.ConnectionsOpen == 2);
    }

    internal static (byte[] Key, byte[] Payload, BlockId Id) Block(KvNamespace ns, int number, int length)
    {
        byte[] key = BitConverter.GetBytes(number);
        BlockId id = ns.IdOf(key);
        var payload = new byte[length];
        BlockBytes.Fill(id, payload);
        return (key, payload, id);
    }

    private static async Task<(KvTierClient Client, KvNamespace Namespace)> ConnectAsync(ScriptedSilo silo,
        Action<KvTierClientOptions>? configure = null)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = silo.Endpoint,
            RequestTimeout = LiveSilo.Patience,
            ConnectTimeout = LiveSilo.Patience,
        };
        configure?.Invoke(options);
        KvTierClient client = (await KvTierClient.ConnectAsync(options)).Value;
        return (client, (await client.OpenNamespaceAsync(Opaque)).Value);
    }
}
