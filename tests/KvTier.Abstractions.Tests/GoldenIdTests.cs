using System.Text.Json;
using KvTier.Testing;

namespace KvTier.Abstractions.Tests;

/// <summary>Ids are compared with vectors that other languages read too, and the vectors with python3's hashlib.</summary>
public sealed class GoldenIdTests
{
    private const string Program = """
        import hashlib, json, sys
        count = 0
        for n in json.load(open(sys.argv[1]))["namespaces"]:
            p = n["profile"]
            number = lambda x: str(int(x)) if float(x).is_integer() else repr(float(x))
            fields = [("tenant", n["tenant"]), ("profile", p["name"]), ("kind", p["kind"])]
            fields += [(name, str(p[name])) for name in ("layers", "kvHeads", "headDim", "dtype", "blockTokens")]
            fields += [("ropeTheta", number(p["ropeTheta"])), ("ropeScaling", number(p["ropeScaling"]))]
            fields += [("preRotation", "1" if p["preRotation"] else "0")]
            text = "kvtier-namespace-1\n" + "".join(f"{k}={v}\n" for k, v in fields)
            assert text == n["canonicalText"], text
            ns = hashlib.sha256(text.encode()).digest()[:16]
            assert ns.hex() == n["namespaceId"], ns.hex()
            for b in n["blocks"]:
                assert hashlib.sha256(ns + bytes.fromhex(b["key"])).digest()[:16].hex() == b["id"], b
                count += 1
        print(count)
        """;

    private static string GoldenPath => RepositoryFiles.PathOf("tests", "golden", "ids.json");

    [Fact]
    public void GoldenFile_Python3Hashlib_ComputesTheSameIds() => Assert.Equal("28", Python.Run(Program, GoldenPath).Trim());

    [Fact]
    public void NamespaceIdAndBlockId_GoldenVectors_AreEqual()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(GoldenPath));
        int blocks = 0;
        foreach (JsonElement entry in golden.RootElement.GetProperty("namespaces").EnumerateArray())
        {
            var descriptor = new NamespaceDescriptor(entry.GetProperty("tenant").GetString()!, ReadProfile(entry.GetProperty("profile")));
            Assert.Null(descriptor.Validate());
            Assert.Equal(entry.GetProperty("canonicalText").GetString(), descriptor.CanonicalText);
            Assert.Equal(entry.GetProperty("namespaceId").GetString(), descriptor.Id.ToString());
            if (Profiles.Find(descriptor.Profile.Name) is { } builtIn) Assert.Equal(builtIn, descriptor.Profile);
            foreach (JsonElement block in entry.GetProperty("blocks").EnumerateArray())
            {
                byte[] key = Convert.FromHexString(block.GetProperty("key").GetString()!);
                Assert.Equal(block.GetProperty("id").GetString(), BlockId.Compute(descriptor.Id, key).ToString());
                blocks++;
            }
        }

        Assert.Equal(28, blocks);
    }

    private static ModelProfile ReadProfile(JsonElement profile)
    {
        Assert.True(DtypeExtensions.TryParse(profile.GetProperty("dtype").GetString()!, out Dtype dtype));
        return new ModelProfile
        {
            Name = profile.GetProperty("name").GetString()!,
            Kind = Enum.Parse<AttentionKind>(profile.GetProperty("kind").GetString()!, ignoreCase: true),
            Layers = profile.GetProperty("layers").GetInt32(),
            KvHeads = profile.GetProperty("kvHeads").GetInt32(),
            HeadDim = profile.GetProperty("headDim").GetInt32(),
            Dtype = dtype,
            BlockTokens = profile.GetProperty("blockTokens").GetInt32(),
            Rope = new RopeParameters(
                profile.GetProperty("ropeTheta").GetDouble(),
                profile.GetProperty("ropeScaling").GetDouble(),
                profile.GetProperty("preRotation").GetBoolean()),
        };
    }
}
