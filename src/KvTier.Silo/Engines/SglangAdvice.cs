namespace KvTier.Silo.Engines;

/// <summary>What to set in SGLang, whose keys are hashes of tokens without a seed or a choice of algorithm.</summary>
internal static class SglangAdvice
{
    private const string Neutral = "\"tp_lcm_size\" in --hicache-storage-backend-extra-config";
    private const string Version = "use one version of SGLang: its hashes have no option, and no seed";

    /// <summary>The advice; null where nothing is special to SGLang.</summary>
    public static string? Of(in EngineQuestion difference) => difference.Field switch
    {
        EngineAdvice.HashAlgorithm or EngineAdvice.Seed or EngineAdvice.ProbeHash => Version,
        "dtype" => "set one --kv-cache-dtype (and --dtype), or give each a namespace of its own",
        "layout" => $"set one --hicache-mem-layout, or {Neutral} so that layouts do not matter",
        "world_size" => $"set one --tp-size, or {Neutral} so that sizes do not matter",
        "pipeline" => "set one --pp-size for every engine",
        "block_tokens" => "set one --page-size for every engine",
        "interface_v1" => "set \"interface_v1\" alike in every --hicache-storage-backend-extra-config",
        "page_shape" => "follows from model, dtype, layout or page size: set them alike, and use one version of SGLang",
        _ => null,
    };
}
