using KvTier.Protocol;
using KvTier.Silo.Engines;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Engines;

public sealed class EngineBookTests
{
    private static readonly NamespaceId ns = new(1, 2);
    private readonly ManualTimeProvider time = new();
    private readonly EngineBook book;

    public EngineBookTests() => book = new EngineBook(TimeSpan.FromHours(24), time);

    [Fact]
    public void Hello_EnginesThatAgree_HasNoDifferences()
    {
        Assert.Empty(Hello("a", ("seed", "0"), ("dtype", "bf16")).Differences);
        EngineHelloResponse second = Hello("b", ("seed", "0"), ("dtype", "bf16"));
        Assert.Equal(2, second.Engines);
        Assert.Empty(second.Differences);
        Assert.Empty(book.DifferingFields(ns));
    }

    [Fact]
    public void Hello_AnotherSeed_SaysWhoseAndWhatToSet()
    {
        Hello("a", ("seed", "1"), ("probe_hash", "aa"));
        IReadOnlyList<EngineDifference> found = Hello("b", ("seed", "0"), ("probe_hash", "bb")).Differences;
        Assert.Equal(["seed", "probe_hash"], found.Select(each => each.Field));
        Assert.Equal(("0", "1", "vllm 1.0 at a"), (found[0].Mine, found[0].Theirs, found[0].Whose));
        Assert.Contains("PYTHONHASHSEED", found[0].Fix, StringComparison.Ordinal);
        Assert.Contains("follows from", found[1].Fix, StringComparison.Ordinal);
        Assert.Equal(["probe_hash", "seed"], book.DifferingFields(ns));
    }

    [Fact]
    public void Hello_SameSeedAndAlgorithmButAnotherHash_PointsToTheVersions()
    {
        Hello("a", ("seed", "0"), ("hash_algorithm", "sha256"), ("probe_hash", "aa"));
        EngineDifference found = Assert.Single(Hello("b", ("seed", "0"), ("hash_algorithm", "sha256"), ("probe_hash", "bb")).Differences);
        Assert.Contains("sha256_cbor", found.Fix, StringComparison.Ordinal);
        Assert.Contains("Python", found.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Hello_NoSeed_IsToldEvenWhenAlone()
    {
        EngineDifference found = Assert.Single(Hello("a", ("seed", "unset")).Differences);
        Assert.Contains("PYTHONHASHSEED=0", found.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void Hello_AfterARestartWithAnotherHash_ComparesWithItself()
    {
        Hello("a", ("probe_hash", "aa"));
        EngineDifference found = Assert.Single(Hello("a", ("probe_hash", "bb")).Differences);
        Assert.Equal("vllm 1.0 at a, before it was restarted", found.Whose);
        Assert.Empty(Hello("a", ("probe_hash", "bb")).Differences);
        Assert.Single(book.Of(ns));
    }

    [Fact]
    public void Hello_FieldsThatOneDoesNotSayOrThatAreAny_Agree()
    {
        Hello("a", ("rank", "0"), ("layout", "NHD"));
        Assert.Empty(Hello("b", ("rank", "any"), ("dtype", "bf16")).Differences);
    }

    [Fact]
    public void Hello_ManyOthersThatSayTheSame_IsOneDifference()
    {
        for (int i = 0; i < 5; i++) Hello($"a{i}", ("dtype", "bf16"));
        EngineDifference found = Assert.Single(Hello("b", ("dtype", "fp8")).Differences);
        Assert.Equal("vllm 1.0 at a0 and 4 more", found.Whose);
    }

    [Fact]
    public void Hello_EnginesNotHeardOfForLong_AreForgotten()
    {
        Hello("a", ("dtype", "bf16"));
        time.Advance(TimeSpan.FromHours(25));
        EngineHelloResponse answer = Hello("b", ("dtype", "fp8"));
        Assert.Equal(1, answer.Engines);
        Assert.Empty(answer.Differences);
    }

    [Fact]
    public void Hello_MoreEnginesAndNamespacesThanKept_OldestGo()
    {
        for (int i = 0; i <= EngineBook.EnginesMax; i++) Hello($"a{i}", ("dtype", "bf16"));
        Assert.Equal(EngineBook.EnginesMax, book.Of(ns).Length);
        Assert.DoesNotContain(book.Of(ns), each => each.Instance == "a0");
        for (ulong i = 0; i < EngineBook.NamespacesMax; i++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            book.Hello(new NamespaceId(9, i), HelloOf("x", ("dtype", "bf16")));
        }

        Assert.Empty(book.Of(ns));
    }

    private EngineHelloResponse Hello(string instance, params (string Name, string Value)[] fields) =>
        book.Hello(ns, HelloOf(instance, fields));

    private static EngineHelloRequest HelloOf(string instance, params (string Name, string Value)[] fields) =>
        new(0, 0, "vllm", "1.0", instance, fields.ToDictionary(each => each.Name, each => each.Value));
}
