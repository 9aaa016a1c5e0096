namespace KvTier.Silo.Regions;

/// <summary>How engines name their files of KV rows.</summary>
internal static class RegionNames
{
    /// <summary>vLLM's file is <c>vllm_offload_ENGINE.mmap</c>.</summary>
    public const string Pattern = "vllm_offload_*.mmap";

    private const string Prefix = "vllm_offload_";
    private const string Suffix = ".mmap";

    /// <summary>Sees that a path is such a file right in a folder, without a way out of it.</summary>
    /// <returns>Null when it is.</returns>
    public static KvError? Check(string path, string folder)
    {
        string home = folder.Length > 1 ? folder.TrimEnd('/') : folder;
        int cut = path.LastIndexOf('/');
        string parent = cut == 0 ? "/" : cut > 0 ? path[..cut] : "";
        string name = path[(cut + 1)..];
        bool fits = parent == home && !path.Contains('\0', StringComparison.Ordinal)
            && name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(Suffix, StringComparison.Ordinal)
            && name.Length > Prefix.Length + Suffix.Length;
        return fits ? null : KvError.InvalidArgument("region.path", path, $"{home}/{Pattern}");
    }
}
