namespace KvTier;

/// <summary>
/// The profiles that come with the service. Shapes are those of the models' published configurations
/// (<c>config.json</c>: num_hidden_layers, num_key_value_heads, head_dim, rope_theta).
/// </summary>
public static class Profiles
{
    /// <summary>Byte strings of any length.</summary>
    public static ModelProfile Opaque { get; } = new() { Name = "opaque", Kind = AttentionKind.Opaque };

    /// <summary>Llama 3.1 8B in bf16: 128 KiB a token, 2 MiB a block of 16 tokens.</summary>
    public static ModelProfile Llama31_8B { get; } = Gqa("llama-3.1-8b", layers: 32, kvHeads: 8, headDim: 128, theta: 500_000, scaling: 8);

    /// <summary>Llama 3.1 70B in bf16: 320 KiB a token.</summary>
    public static ModelProfile Llama31_70B { get; } = Gqa(
        "llama-3.1-70b", layers: 80, kvHeads: 8, headDim: 128, theta: 500_000, scaling: 8);

    /// <summary>Qwen3 8B in bf16: 144 KiB a token.</summary>
    public static ModelProfile Qwen3_8B { get; } = Gqa("qwen3-8b", layers: 36, kvHeads: 8, headDim: 128, theta: 1_000_000);

    /// <summary>Qwen3 32B in bf16: 256 KiB a token.</summary>
    public static ModelProfile Qwen3_32B { get; } = Gqa("qwen3-32b", layers: 64, kvHeads: 8, headDim: 128, theta: 1_000_000);

    /// <summary>DeepSeek-V3 in bf16, MLA: 61 layers of 512 + 64, 70,272 bytes a token; blocks of 64 tokens.</summary>
    public static ModelProfile DeepSeekV3 { get; } = new()
    {
        Name = "deepseek-v3",
        Kind = AttentionKind.Mla,
        Layers = 61,
        KvHeads = 1,
        HeadDim = 512 + 64,
        Dtype = Dtype.BFloat16,
        BlockTokens = 64,
        Rope = new RopeParameters(10_000, 40),
    };

    /// <summary>Every built-in profile, in the order in which <c>kvtier namespace list</c> shows them.</summary>
    public static IReadOnlyList<ModelProfile> BuiltIn { get; } = [Opaque, Llama31_8B, Llama31_70B, Qwen3_8B, Qwen3_32B, DeepSeekV3];

    /// <summary>Finds a built-in profile by name.</summary>
    /// <returns>Null when there is none.</returns>
    public static ModelProfile? Find(string name) => BuiltIn.FirstOrDefault(profile => profile.Name == name);

    private static ModelProfile Gqa(string name, int layers, int kvHeads, int headDim, double theta, double scaling = 1) => new()
    {
        Name = name,
        Kind = AttentionKind.Gqa,
        Layers = layers,
        KvHeads = kvHeads,
        HeadDim = headDim,
        Dtype = Dtype.BFloat16,
        BlockTokens = 16,
        Rope = new RopeParameters(theta, scaling),
    };
}
