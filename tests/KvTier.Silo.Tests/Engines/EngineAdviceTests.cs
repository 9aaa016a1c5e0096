using KvTier.Protocol;
using KvTier.Silo.Engines;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Engines;

/// <summary>What is said to set fits the engine that is told.</summary>
public sealed class EngineAdviceTests
{
    private static readonly NamespaceId ns = new(1, 2);
    private static readonly string[] all =
        ["hash_algorithm", "seed", "probe_hash", "model_digest", "dtype", "layout", "rank", "world_size", "block_tokens", "page_shape"];

    // Names of options that only one kind of engine has.
    private static readonly Dictionary<string, string[]> words = new()
    {
        ["vllm"] = ["--prefix-caching-hash-algo", "VLLM_", "--tensor-parallel-size", "--block-size"],
        ["sglang"] = ["SGLang", "--hicache-mem-layout", "--tp-size", "--page-size", "tp_lcm_size"],
        ["lmcache"] = ["LMCache", "pre_caching_hash_algorithm", "chunk_size"],
    };

    private readonly EngineBook book = new(TimeSpan.FromHours(24), new ManualTimeProvider());

    [Theory]
    [InlineData("vllm", "hash_algorithm", "--prefix-caching-hash-algo sha256_cbor")]
    [InlineData("vllm", "seed", "PYTHONHASHSEED")]
    [InlineData("vllm", "probe_hash", "--prefix-caching-hash-algo sha256_cbor")]
    [InlineData("vllm", "dtype", "--kv-cache-dtype")]
    [InlineData("vllm", "layout", "VLLM_KV_CACHE_LAYOUT")]
    [InlineData("vllm", "world_size", "--tensor-parallel-size")]
    [InlineData("vllm", "block_tokens", "--block-size")]
    [InlineData("VLLM", "block_tokens", "--block-size")]
    [InlineData("sglang", "hash_algorithm", "one version of SGLang")]
    [InlineData("sglang", "seed", "one version of SGLang")]
    [InlineData("sglang", "probe_hash", "one version of SGLang")]
    [InlineData("sglang", "dtype", "--kv-cache-dtype")]
    [InlineData("sglang", "layout", "--hicache-mem-layout")]
    [InlineData("sglang", "world_size", "tp_lcm_size")]
    [InlineData("sglang", "pipeline", "--pp-size")]
    [InlineData("sglang", "block_tokens", "--page-size")]
    [InlineData("sglang", "interface_v1", "interface_v1")]
    [InlineData("sglang", "page_shape", "page size")]
    [InlineData("lmcache", "hash_algorithm", "pre_caching_hash_algorithm: sha256_cbor_64bit")]
    [InlineData("lmcache", "seed", "PYTHONHASHSEED")]
    [InlineData("lmcache", "probe_hash", "pre_caching_hash_algorithm")]
    [InlineData("lmcache", "dtype", "engines that LMCache runs in")]
    [InlineData("lmcache", "world_size", "engines that LMCache runs in")]
    [InlineData("lmcache", "block_tokens", "chunk_size")]
    [InlineData("lmcache", "page_shape", "chunk_size")]
    [InlineData("own-engine", "hash_algorithm", "one hash algorithm")]
    [InlineData("own-engine", "seed", "one seed")]
    [InlineData("own-engine", "probe_hash", "one version")]
    [InlineData("own-engine", "layout", "one layout")]
    [InlineData("own-engine", "world_size", "tensor parallelism")]
    [InlineData("own-engine", "block_tokens", "tokens a block")]
    [InlineData("own-engine", "something_new", "something_new")]
    [InlineData("sglang", "something_new", "something_new")]
    [InlineData("vllm", "model_digest", "weights")]
    [InlineData("lmcache", "rank", "namespace of its own")]
    public void Hello_OfAKind_IsToldItsOwnOption(string engine, string field, string says)
    {
        Hello(engine, "a", (field, "1"));
        Assert.Contains(says, Assert.Single(Hello(engine, "b", (field, "2"))).Fix, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    [InlineData("lmcache")]
    [InlineData("own-engine")]
    public void Hello_OfAnyKind_NamesNoOptionOfAnother(string engine)
    {
        foreach (string seed in new[] { "0", EngineAdvice.Unset })
        {
            Hello(engine, "a", [.. all.Select(field => (field, field == "seed" ? "1" : "x"))]);
            IReadOnlyList<EngineDifference> found = Hello(engine, "b", [.. all.Select(field => (field, field == "seed" ? seed : "y"))]);
            Assert.Equal(all.Order(StringComparer.Ordinal), found.Select(each => each.Field).Distinct().Order(StringComparer.Ordinal));
            foreach (string strange in words.Where(each => each.Key != engine).SelectMany(each => each.Value))
                Assert.All(found, each => Assert.DoesNotContain(strange, each.Fix, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("vllm", "PYTHONHASHSEED=0")]
    [InlineData("lmcache", "pre_caching_hash_algorithm")]
    [InlineData("own-engine", "PYTHONHASHSEED=0 where they are Python's")]
    public void Hello_WithoutASeed_IsToldItsOwnWayWhenAlone(string engine, string says) =>
        Assert.Contains(says, Assert.Single(Hello(engine, "a", ("seed", EngineAdvice.Unset))).Fix, StringComparison.Ordinal);

    [Fact]
    public void Hello_OfTwoKindsInOneNamespace_AreToldToTakeTwo()
    {
        Hello("vllm", "a", ("hash_algorithm", "sha256_cbor"), ("probe_hash", "aa"), ("dtype", "bf16"));
        IReadOnlyList<EngineDifference> found =
            Hello("sglang", "b", ("hash_algorithm", "sha256_chain_u32"), ("probe_hash", "bb"), ("dtype", "fp8"));
        Assert.Equal(["hash_algorithm", "probe_hash", "dtype"], found.Select(each => each.Field));
        Assert.All(found.Take(2), each =>
            Assert.Equal("sglang and vllm make different keys: give each a namespace of its own", each.Fix));
        Assert.Contains("--kv-cache-dtype", found[2].Fix, StringComparison.Ordinal);
    }

    private IReadOnlyList<EngineDifference> Hello(string engine, string instance, params (string Name, string Value)[] fields) =>
        book.Hello(ns, new EngineHelloRequest(
            0, 0, engine, "1.0", instance, fields.ToDictionary(each => each.Name, each => each.Value))).Differences;
}
