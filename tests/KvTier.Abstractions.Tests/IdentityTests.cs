namespace KvTier.Abstractions.Tests;

public sealed class IdentityTests
{
    private static readonly NamespaceDescriptor Llama = new("default", Profiles.Llama31_8B);

    public static TheoryData<string, NamespaceDescriptor> Changes => new()
    {
        { "tenant", Llama with { Tenant = "other" } },
        { "profile", Llama with { Profile = Llama.Profile with { Name = "llama" } } },
        { "kind", Llama with { Profile = Llama.Profile with { Kind = AttentionKind.Mla } } },
        { "layers", Llama with { Profile = Llama.Profile with { Layers = 31 } } },
        { "kvHeads", Llama with { Profile = Llama.Profile with { KvHeads = 4 } } },
        { "headDim", Llama with { Profile = Llama.Profile with { HeadDim = 64 } } },
        { "dtype", Llama with { Profile = Llama.Profile with { Dtype = Dtype.Float16 } } },
        { "blockTokens", Llama with { Profile = Llama.Profile with { BlockTokens = 32 } } },
        { "ropeTheta", Llama with { Profile = Llama.Profile with { Rope = Llama.Profile.Rope with { Theta = 500_000.5 } } } },
        { "ropeScaling", Llama with { Profile = Llama.Profile with { Rope = Llama.Profile.Rope with { ScalingFactor = 1 } } } },
        { "preRotation", Llama with { Profile = Llama.Profile with { Rope = Llama.Profile.Rope with { PreRotation = true } } } },
    };

    [Theory]
    [MemberData(nameof(Changes))]
    public void Id_AnyFieldChanged_IsAnotherAndTheFieldIsNamed(string field, NamespaceDescriptor changed)
    {
        ArgumentNullException.ThrowIfNull(changed);
        Assert.NotEqual(Llama.Id, changed.Id);
        Assert.NotEqual(Llama, changed);
        Assert.NotEqual(BlockId.Compute(Llama.Id, "k"u8), BlockId.Compute(changed.Id, "k"u8));
        KvError? error = changed.CompareWithRegistered(Llama);
        Assert.Equal(ErrorCode.NamespaceMismatch, error?.Code);
        Assert.EndsWith(field, error!.Field, StringComparison.Ordinal);
        Assert.NotEqual(error.Value, error.Limit);
    }

    [Fact]
    public void CompareWithRegistered_SameDescriptor_GivesNoError()
    {
        Assert.Null(new NamespaceDescriptor("default", Profiles.Llama31_8B).CompareWithRegistered(Llama));
        Assert.Equal(Llama, new NamespaceDescriptor("default", Profiles.Llama31_8B));
        Assert.Equal("default/llama-3.1-8b", Llama.Name);
    }

    [Fact]
    public void Id_CopiedAfterItWasComputed_IsComputedAnew()
    {
        NamespaceId before = Llama.Id;
        NamespaceDescriptor copy = Llama with { Tenant = "other" };
        Assert.NotEqual(before, copy.Id);
        Assert.Equal(new NamespaceDescriptor("other", Profiles.Llama31_8B).Id, copy.Id);
    }

    [Fact]
    public void BlockId_WrittenAndRead_IsTheSame()
    {
        var id = new BlockId(0x0102030405060708, 0xF1F2F3F4F5F6F7F8);
        Span<byte> bytes = stackalloc byte[BlockId.SizeBytes];
        id.WriteTo(bytes);
        Assert.Equal("0102030405060708f1f2f3f4f5f6f7f8", Convert.ToHexStringLower(bytes));
        Assert.Equal(id, BlockId.Read(bytes));
        Assert.Equal("0102030405060708f1f2f3f4f5f6f7f8", id.ToString());
    }

    [Fact]
    public void Compute_KeyOfAllowedLength_AllocatesNothing()
    {
        byte[] key = new byte[512];
        BlockId last = BlockId.Compute(Llama.Id, key);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) last = BlockId.Compute(Llama.Id, key);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(BlockId.Compute(Llama.Id, key), last);
    }

    [Fact]
    public void BlockCheck_AnyPartChanged_IsAnother()
    {
        var id = new BlockId(1, 2);
        uint check = BlockCheck.Compute(id, 0, 0, 100, 7);
        Assert.Equal(check, BlockCheck.Compute(id, 0, 0, 100, 7));
        uint[] others =
        [
            BlockCheck.Compute(new BlockId(2, 1), 0, 0, 100, 7),
            BlockCheck.Compute(id, 1, 0, 100, 7),
            BlockCheck.Compute(id, 0, 1, 100, 7),
            BlockCheck.Compute(id, 0, 0, 101, 7),
            BlockCheck.Compute(id, 0, 0, 100, 8),
        ];
        Assert.DoesNotContain(check, others);
    }
}
