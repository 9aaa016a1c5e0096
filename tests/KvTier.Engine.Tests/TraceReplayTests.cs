using System.Text.Json;

namespace KvTier.Engine.Tests;

/// <summary>A production trace through the engine: its prefix hit ratios with LRU are known from a reference.</summary>
public sealed class TraceReplayTests
{
    [Theory]
    [InlineData(1_000, 0.0445)]
    [InlineData(10_000, 0.2112)]
    [InlineData(30_000, 0.3257)]
    [InlineData(50_000, 0.3546)]
    public async Task Replay_ConversationTraceWithLru_GivesTheReferenceRatio(int hostBlocks, double expected) =>
        Assert.Equal(expected, await ReplayAsync(hostBlocks, "lru"), 0.00005);

    [Fact]
    public async Task Replay_ConversationTraceWithS3Fifo_IsNoWorseThanHalfOfLruAndBelowTheOptimum() =>
        Assert.InRange(await ReplayAsync(10_000, "s3fifo"), 0.1, 0.3664);

    private static async Task<double> ReplayAsync(int hostBlocks, string policy)
    {
        var options = new EngineOptions { HostBlocksMax = hostBlocks, Policy = policy };
        await using var harness = new EngineHarness(options, arenaBytes: 64 << 20);
        long asked = 0;
        long hits = 0;
        foreach (BlockId[] ids in ReadTrace())
        {
            int prefix = harness.Engine.Prefix(harness.Namespace, ids, [], touch: true);
            asked += ids.Length;
            hits += prefix;
            for (int i = prefix; i < ids.Length; i++) Put(harness, ids[i]);
        }

        return (double)hits / asked;
    }

    private static void Put(EngineHarness harness, BlockId id)
    {
        Span<byte> key = stackalloc byte[BlockId.SizeBytes];
        id.WriteTo(key);
        var request = new PutRequest { Namespace = harness.Namespace, Id = id, Key = key, Length = 16 };
        Assert.True(harness.Engine.TryBeginPut(request, out PutBegin begin, out Reservation reservation));
        if (begin == PutBegin.Reserved) harness.Engine.Seal(reservation, 0, out _);
    }

    private static IEnumerable<BlockId[]> ReadTrace()
    {
        string path = FindTrace();
        Assert.True(File.Exists(path), $"the trace is missing at {path}");
        foreach (string line in File.ReadLines(path))
        {
            using JsonDocument request = JsonDocument.Parse(line);
            yield return [.. request.RootElement.GetProperty("hash_ids").EnumerateArray().Select(id => new BlockId(1, id.GetUInt64()))];
        }
    }

    // The traces lie beside the repository, in ../shared/traces; a second working tree may lie deeper.
    private static string FindTrace()
    {
        string name = Path.Combine("shared", "traces", "conversation_trace.jsonl");
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, name))) folder = Path.GetDirectoryName(folder);
        return Path.Combine(folder ?? "..", name);
    }
}
