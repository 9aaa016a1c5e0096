namespace KvTier.Abstractions.Tests;

public sealed class VocabularyTests
{
    [Theory]
    [InlineData("llama-3.1-8b", 131_072, 2_097_152)]
    [InlineData("llama-3.1-70b", 327_680, 5_242_880)]
    [InlineData("qwen3-8b", 147_456, 2_359_296)]
    [InlineData("qwen3-32b", 262_144, 4_194_304)]
    [InlineData("deepseek-v3", 70_272, 4_497_408)]
    [InlineData("opaque", 0, 0)]
    public void BuiltInProfile_BytesPerTokenAndBlock_AreThoseOfTheModel(string name, long bytesPerToken, long blockBytes)
    {
        ModelProfile? profile = Profiles.Find(name);
        Assert.NotNull(profile);
        Assert.Null(profile.Validate());
        Assert.Equal(bytesPerToken, profile.BytesPerToken);
        Assert.Equal(blockBytes, profile.BlockBytes);
        Assert.True(profile.BlockBytes <= Limits.Default.BlockBytesMax);
        Assert.Equal(profile.BlockBytes, profile.PageBytes * profile.Layers);
    }

    [Fact]
    public void Find_UnknownProfile_GivesNull() => Assert.Null(Profiles.Find("gpt-2"));

    public static TheoryData<string, ModelProfile> Invalid
    {
        get
        {
            ModelProfile valid = Profiles.Llama31_8B;
            return new TheoryData<string, ModelProfile>
            {
                { "profile.name", valid with { Name = "Llama" } },
                { "profile.name", valid with { Name = "" } },
                { "profile.kind", valid with { Kind = (AttentionKind)9 } },
                { "profile.kind", Profiles.Opaque with { Layers = 1 } },
                { "profile.kind", Profiles.Opaque with { Rope = new RopeParameters(0) } },
                { "profile.dtype", valid with { Dtype = Dtype.Raw } },
                { "profile.dtype", valid with { Dtype = (Dtype)99 } },
                { "profile.layers", valid with { Layers = 0 } },
                { "profile.layers", valid with { Layers = 1025 } },
                { "profile.kvHeads", valid with { KvHeads = 0 } },
                { "profile.kvHeads", Profiles.DeepSeekV3 with { KvHeads = 2 } },
                { "profile.headDim", valid with { HeadDim = 8193 } },
                { "profile.blockTokens", valid with { BlockTokens = 0 } },
                { "profile.rope.theta", valid with { Rope = new RopeParameters(double.NaN) } },
                { "profile.rope.theta", valid with { Rope = new RopeParameters(-1) } },
                { "profile.rope.scaling", valid with { Rope = new RopeParameters(1, 0) } },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Invalid))]
    public void Validate_BadField_NamesFieldAndWhatWouldBeRight(string field, ModelProfile profile)
    {
        ArgumentNullException.ThrowIfNull(profile);
        KvError? error = profile.Validate();
        Assert.Equal(ErrorCode.InvalidArgument, error?.Code);
        Assert.Equal(field, error!.Field);
        Assert.NotEmpty(error.Limit);
        Assert.Equal(error, new NamespaceDescriptor("default", profile).Validate());
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("llama-3.1_8b", true)]
    [InlineData("", false)]
    [InlineData(null, false)]
    [InlineData("A", false)]
    [InlineData("a/b", false)]
    [InlineData("a b", false)]
    [InlineData("ä", false)]
    [InlineData("a\n", false)]
    public void IsValid_Name_FollowsTheRule(string? name, bool expected) => Assert.Equal(expected, Names.IsValid(name));

    [Fact]
    public void IsValid_NameAtTheLimit_EndsAt128()
    {
        Assert.True(Names.IsValid(new string('a', Names.LengthMax)));
        Assert.False(Names.IsValid(new string('a', Names.LengthMax + 1)));
        Assert.Equal("tenant", new NamespaceDescriptor("A", Profiles.Opaque).Validate()?.Field);
    }

    [Fact]
    public void Limits_Default_AreThoseOfTheDocs()
    {
        Limits limits = Limits.Default;
        Assert.Equal((512, 64 << 20, 4096), (limits.KeyBytesMax, limits.BlockBytesMax, limits.BatchBlocksMax));
        Assert.Equal((4 << 20, 1L << 30), (limits.FrameBodyBytesMax, limits.FramePayloadBytesMax));
        Assert.True(limits.BatchBlocksMax * (limits.KeyBytesMax + 32L) <= limits.FrameBodyBytesMax,
            "a full batch of longest keys fits a frame");
    }

    [Fact]
    public void KvError_Message_NamesFieldValueAndLimit()
    {
        Assert.Equal("LimitExceeded: key is 513; allowed: 512", KvError.LimitExceeded("key", 513, 512).Message);
        Assert.Equal("InvalidArgument: tenant is missing; allowed: a name", KvError.InvalidArgument("tenant", null, "a name").Message);
        Assert.Equal("Internal: x", new KvError(ErrorCode.Internal, "x").ToString());
        Assert.Equal("InvalidArgument: theta is 0.5; allowed: 1", KvError.InvalidArgument("theta", 0.5, "1").Message);
        Assert.Equal("Internal: x", new KvException(new KvError(ErrorCode.Internal, "x")).Message);
    }

    [Fact]
    public void Result_ErrorAndValue_AreToldApart()
    {
        Result<int> value = 3;
        Result<int> error = new KvError(ErrorCode.Busy, "inflight", "257", "256");
        Assert.True(value.IsOk);
        Assert.True(value.TryGet(out int three, out KvError? none));
        Assert.Equal(3, three);
        Assert.Null(none);
        Assert.False(error.TryGet(out _, out KvError? busy));
        Assert.Equal(ErrorCode.Busy, busy?.Code);
        Assert.Equal(ErrorCode.Busy, Assert.Throws<KvException>(() => error.Value).Error.Code);
    }

    [Fact]
    public void ErrorCode_Numbers_AreThoseOfTheWire()
    {
        string[] names = ["None", "InvalidArgument", "LimitExceeded", "NamespaceMismatch", "NamespaceUnknown", "HostFull", "DiskFull",
            "DeadlineExceeded", "LeaseExpired", "Unauthorized", "ShuttingDown", "ProtocolViolation", "VersionMismatch", "Corrupt",
            "Unsupported", "Busy", "IoError", "Unavailable", "Internal", "Moved", "Fenced", "Conflict"];
        Assert.Equal(names, Enum.GetValues<ErrorCode>().Order().Select(code => code.ToString()));
        Assert.Equal(Enumerable.Range(0, names.Length), Enum.GetValues<ErrorCode>().Order().Select(code => (int)code));
    }

    [Fact]
    public void DtypeName_EveryDtype_IsParsedBack()
    {
        foreach (Dtype dtype in Enum.GetValues<Dtype>())
        {
            Assert.True(DtypeExtensions.TryParse(dtype.Name(), out Dtype parsed));
            Assert.Equal(dtype, parsed);
        }

        Assert.False(DtypeExtensions.TryParse("bfloat16", out _));
        Assert.Equal([1, 4, 2, 2, 1, 1, 1], Enum.GetValues<Dtype>().Order().Select(dtype => dtype.SizeBytes()));
    }
}
