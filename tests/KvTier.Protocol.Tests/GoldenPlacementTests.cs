using System.Globalization;
using System.Text.Json;

namespace KvTier.Protocol.Tests;

/// <summary>Placement as <c>tests/golden/rendezvous.py</c> computes it, which has no KvTier code.</summary>
public sealed class GoldenPlacementTests
{
    private static readonly JsonElement golden =
        JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.GoldenPath, "rendezvous.json"))).RootElement;

    public static TheoryData<string> Maps => [.. golden.GetProperty("maps").EnumerateArray().Select(map => Text(map, "name"))];

    [Fact]
    public void SeedsAndHashes_AreTheGoldenOnes()
    {
        foreach (JsonElement each in golden.GetProperty("seeds").EnumerateArray())
            Assert.Equal(Number(each, "seed"), Rendezvous.SeedOf(Text(each, "name")));
        foreach (JsonElement each in golden.GetProperty("hashes").EnumerateArray())
            Assert.Equal(Number(each, "hash"), Rendezvous.Hash(Rendezvous.SeedOf(Text(each, "name")), Id(Text(each, "group"))));
    }

    [Fact]
    public void Scores_AreTheGoldenOnes()
    {
        foreach (JsonElement each in golden.GetProperty("scores").EnumerateArray())
        {
            double expected = each.GetProperty("score").GetDouble();
            double score = Rendezvous.Score(Number(each, "hash"), each.GetProperty("weight").GetDouble());
            Assert.InRange(score / expected, 1 - 1e-12, 1 + 1e-12);
        }
    }

    [Theory]
    [MemberData(nameof(Maps))]
    public void Holders_OfAMap_AreTheGoldenOnes(string name)
    {
        JsonElement entry = golden.GetProperty("maps").EnumerateArray().Single(map => Text(map, "name") == name);
        ClusterMap map = Map(entry);
        Span<int> found = stackalloc int[3];
        foreach (JsonElement each in entry.GetProperty("holders").EnumerateArray())
        {
            BlockId group = Id(Text(each, "group"));
            string[] expected = [.. each.GetProperty("names").EnumerateArray().Select(holder => holder.GetString()!)];
            int count = map.FindHolders(group, found);
            Assert.Equal(expected, found[..count].ToArray().Select(index => map.Silos[index].Name));
            Assert.Equal(expected[0], map.Silos[map.OwnerOf(group)].Name);
        }
    }

    [Fact]
    public void Groups_OfAPrefix_AreTheGoldenOnes()
    {
        JsonElement prefix = golden.GetProperty("prefix");
        BlockId[] ids = Ids(prefix, "ids");
        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);
        Assert.Equal(Ids(prefix, "groups"), groups);
    }

    [Fact]
    public void GoldenPlacement_ComputedByPython_IsTheSame()
    {
        string answer = Repository.RunPython(Path.Combine(Repository.GoldenPath, "rendezvous.py"), "", "--check");
        Assert.Equal($"{Maps.Count} maps", answer.Trim());
    }

    private static ClusterMap Map(JsonElement entry) => new(
        "golden",
        1000,
        1000,
        entry.GetProperty("silos").EnumerateArray().Select(Silo),
        new ClusterSettings(),
        entry.GetProperty("moved").EnumerateObject().ToDictionary(each => Id(each.Name), each => each.Value.GetString()!));

    private static SiloEntry Silo(JsonElement fields) => new()
    {
        Name = fields[0].GetString()!,
        Endpoint = "127.0.0.1:1",
        CapacityBytes = fields[1].GetInt64(),
        Zone = fields[2].GetString()!,
        JoinedEpoch = fields[3].GetInt64(),
        Draining = fields[4].GetBoolean(),
        Protocol = 1,
        DiskFormat = 1,
    };

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    private static ulong Number(JsonElement element, string name) => ulong.Parse(Text(element, name), CultureInfo.InvariantCulture);

    private static BlockId Id(string hex) => BlockId.Read(Convert.FromHexString(hex));

    private static BlockId[] Ids(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(id => Id(id.GetString()!))];
}
