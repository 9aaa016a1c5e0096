using System.Text;

namespace KvTier.Client.Tests.Routing;

/// <summary>The blocks of one made-up prompt, with bytes that follow from their ids.</summary>
public sealed class Prompt
{
    private readonly int length;

    public Prompt(KvClusterNamespace ns, string name, int count, int length = 5000)
    {
        this.length = length;
        Keys = [.. Enumerable.Range(0, count).Select(i => Encoding.UTF8.GetBytes($"{name}/{i}"))];
        Ids = [.. Keys.Select(key => ns.IdOf(key))];
        Groups = new BlockId[count];
        BlockGroups.Fill(Ids, Groups);
        Puts = [.. Keys.Select((key, i) => new PutBlock(key, Bytes(Ids[i]), Group: Groups[i]))];
    }

    public byte[][] Keys { get; }

    public BlockId[] Ids { get; }

    public BlockId[] Groups { get; }

    public PutBlock[] Puts { get; }

    /// <summary>Fetches every block, and sees that what is a hit has the right bytes.</summary>
    /// <returns>The results.</returns>
    public async Task<BlockResult[]> GetAsync(KvClusterNamespace ns, TimeSpan timeout = default)
    {
        GetBlock[] gets = [.. Ids.Select((id, i) => new GetBlock(id, new byte[length], Group: Groups[i]))];
        var results = new BlockResult[gets.Length];
        Result<GetSummary> answer = await ns.GetAsync(gets, results, timeout);
        Assert.True(answer.IsOk, $"{answer.Error}");
        Assert.Equal(results.Count(result => result.IsHit), answer.Value.Hits);
        for (int i = 0; i < gets.Length; i++)
        {
            if (results[i].IsHit) Assert.True(gets[i].Destination.Span.SequenceEqual(Puts[i].Payload.Span), $"block {i} has wrong bytes");
        }

        return results;
    }

    private byte[] Bytes(BlockId id)
    {
        byte[] bytes = new byte[length];
        new Random(id.GetHashCode()).NextBytes(bytes);
        return bytes;
    }
}
