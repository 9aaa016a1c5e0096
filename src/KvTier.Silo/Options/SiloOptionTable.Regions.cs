namespace KvTier.Silo;

/// <content>The options of engine regions.</content>
public static partial class SiloOptionTable
{
    private static IEnumerable<SiloOption> RegionOptionList()
    {
        yield return Switch("regions.enabled", "Let engines of the same user name their files of KV rows, over the Unix socket.",
            o => o.Regions.Enabled, (o, v) => o with { Regions = o.Regions with { Enabled = v } });
        yield return Text("regions.directory", "an absolute path of at most 4000 bytes", "The one folder that such files may lie in.",
            text => text.StartsWith('/') && System.Text.Encoding.UTF8.GetByteCount(text) <= 4000 && !text.Contains('\0'),
            o => o.Regions.Directory, (o, v) => o with { Regions = o.Regions with { Directory = v } });
        yield return Switch("regions.reap", "Remove files `vllm_offload_*.mmap` of this user that no process has open.",
            o => o.Regions.Reap, (o, v) => o with { Regions = o.Regions with { Reap = v } });
        yield return Number("regions.reapAfterSeconds", 1, 86_400, "How long such a file must have been unchanged before it is removed.",
            o => o.Regions.ReapAfterSeconds, (o, v) => o with { Regions = o.Regions with { ReapAfterSeconds = (int)v } });
    }
}
