using System.Text.Json;

namespace KvTier.Cli.Tests;

public sealed class ReplayTests : IDisposable
{
    private readonly TempFolder folder = new();

    [Theory]
    [InlineData(50)]
    [InlineData(200)]
    public async Task Replay_SyntheticTrace_HitsAsOftenAsANaiveLru(int hostBlocks)
    {
        List<long[]> requests = Requests(seed: hostBlocks);
        CliRun run = await ReplayAsync(requests, "--host-blocks", $"{hostBlocks}");
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        JsonElement report = run.Json();
        double expected = (double)NaiveLru(requests, hostBlocks) / requests.Sum(ids => ids.Length);
        Assert.Equal(expected, report.GetProperty("prefixHitRatio").GetDouble(), 0.003);
        Assert.Equal(0, report.GetProperty("wrongBlocks").GetInt64());
        Assert.Equal(0, report.GetProperty("lostBlocks").GetInt64());
        Assert.Equal("lru", report.GetProperty("policy").GetString());
        JsonElement other = Assert.Single(report.GetProperty("others").EnumerateArray());
        Assert.Equal("s3fifo", other.GetProperty("policy").GetString());
        Assert.InRange(other.GetProperty("prefixHitRatio").GetDouble(), 0.01, 0.99);
    }

    [Fact]
    public async Task Replay_WithRoomOnSsd_HitsWhatWasSeenBefore()
    {
        List<long[]> requests = Requests(seed: 3);
        CliRun run = await ReplayAsync(requests, "--host-blocks", "60", "--ssd-blocks", "10000", "--only");
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        JsonElement report = run.Json();
        double expected = (double)NaiveLru(requests, int.MaxValue) / requests.Sum(ids => ids.Length);
        Assert.Equal(expected, report.GetProperty("prefixHitRatio").GetDouble(), 0.00001);
        Assert.True(report.GetProperty("ssdHits").GetInt64() > 0);
        Assert.Equal(0, report.GetProperty("wrongBlocks").GetInt64());
        Assert.Empty(report.GetProperty("others").EnumerateArray());
    }

    [Fact]
    public async Task Replay_Done_LeavesNothingInItsFolder()
    {
        string parent = folder.File("p");
        CliRun run = await ReplayAsync([[1, 2], [1, 2, 3]], "--host-blocks", "10", "--ssd-blocks", "10", "--only", "--data-folder", parent);
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        Assert.Equal(0.4, run.Json().GetProperty("prefixHitRatio").GetDouble(), 0.0001);
        Assert.Empty(Directory.EnumerateFileSystemEntries(parent));
    }

    public void Dispose() => folder.Dispose();

    /// <summary>Blocks hit in unbroken prefixes, with room for so many blocks.</summary>
    private static long NaiveLru(List<long[]> requests, int room)
    {
        var order = new LinkedList<long>();
        var nodes = new Dictionary<long, LinkedListNode<long>>();
        long hits = 0;
        foreach (long[] ids in requests)
        {
            bool unbroken = true;
            foreach (long id in ids)
            {
                if (nodes.TryGetValue(id, out LinkedListNode<long>? node))
                {
                    if (unbroken) hits++;
                    order.Remove(node);
                    order.AddLast(node);
                    continue;
                }

                unbroken = false;
                if (nodes.Count >= room)
                {
                    nodes.Remove(order.First!.Value);
                    order.RemoveFirst();
                }

                nodes[id] = order.AddLast(id);
            }
        }

        return hits;
    }

    /// <summary>Sessions that come back with what they had and a little more, some of them often.</summary>
    private static List<long[]> Requests(int seed)
    {
        var random = new Random(seed);
        var sessions = Enumerable.Range(0, 40).Select(i => new List<long> { 0, 1, 1000L * (i + 1) }).ToList();
        var requests = new List<long[]>();
        for (int i = 0; i < 400; i++)
        {
            List<long> session = sessions[(int)(sessions.Count * Math.Pow(random.NextDouble(), 2))];
            if (session.Count < 30) session.AddRange(Enumerable.Range(0, random.Next(4)).Select(_ => session[^1] + 1).Take(1));
            requests.Add([.. session]);
        }

        return requests;
    }

    private async Task<CliRun> ReplayAsync(List<long[]> requests, params string[] options)
    {
        string path = folder.File("t.jsonl");
        File.WriteAllLines(path, requests.Select(ids => JsonSerializer.Serialize(new { timestamp = 0, hash_ids = ids })));
        return await CliRun.Async(["replay", path, "--block-bytes", "512", "--json", .. options]);
    }
}
