namespace KvTier.Silo;

/// <content>The options of recall.</content>
public static partial class SiloOptionTable
{
    private static IEnumerable<SiloOption> RecallOptionList()
    {
        yield return Bytes("recall.hotSetBytes", 0, 1L << 44, "Chunks kept beside the host tier because recall picks them; 0 for none.",
            o => o.Recall.HotSetBytes, (o, v) => o with { Recall = o.Recall with { HotSetBytes = v } });
        yield return Bytes("recall.digestBytes", 0, 1L << 44, "Most bytes of the digests of all sequences.",
            o => o.Recall.DigestBytes, (o, v) => o with { Recall = o.Recall with { DigestBytes = v } });
        yield return Bytes("recall.readBytes", 0, 1L << 44,
            "Most memory of rows that recalls read from the SSD, all together; 0 for half of `hostBytes`, at least 256 MiB.",
            o => o.Recall.ReadBytes, (o, v) => o with { Recall = o.Recall with { ReadBytes = v } });
        yield return Number("recall.workers", 0, 1024, "Threads that score and attend; 0 for as many as there are processors.",
            o => o.Recall.Workers, (o, v) => o with { Recall = o.Recall with { Workers = (int)v } });
        yield return Number("recall.sequencesMax", 1, 1 << 24, "Most sequences.",
            o => o.Recall.SequencesMax, (o, v) => o with { Recall = o.Recall with { SequencesMax = (int)v } });
        yield return Number("recall.blocksMax", 1, 1 << 24, "Most blocks of a sequence.",
            o => o.Recall.BlocksMax, (o, v) => o with { Recall = o.Recall with { BlocksMax = (int)v } });
        yield return Number("recall.itemsMax", 1, 65_536, "Most items (layers of sequences) of one recall.",
            o => o.Recall.ItemsMax, (o, v) => o with { Recall = o.Recall with { ItemsMax = (int)v } });
    }
}
