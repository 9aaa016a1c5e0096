namespace KvTier.Recall;

/// <summary>
/// Where the rows of a segment lie: one run for each (layer, KV head), in it one run for each part, so that scoring a head streams. Every
/// run begins at a multiple of 64 bytes.
/// </summary>
internal sealed class SegmentLayout
{
    private const int Alignment = 64;
    private readonly long[] rows = new long[ChunkShape.Parts];
    private readonly long[] scales = new long[ChunkShape.Parts];
    private readonly int[] rowBytes = new int[ChunkShape.Parts];

    /// <summary>Lays a segment out.</summary>
    /// <param name="shape">Which rows a chunk has.</param>
    /// <param name="heads">Layers times KV heads.</param>
    /// <param name="chunks">Chunks that it has room for.</param>
    internal SegmentLayout(ChunkShape shape, int heads, int chunks)
    {
        Heads = heads;
        Chunks = chunks;
        long at = 0;
        for (int p = 0; p < ChunkShape.Parts; p++)
        {
            var part = (RowPart)p;
            rowBytes[p] = shape.RowLength(part) * shape.Dtype.SizeBytes();
            if (rowBytes[p] == 0) continue;
            rows[p] = at;
            at = Align(at + ((long)shape.Rows(part, chunks) * rowBytes[p]));
            scales[p] = at;
            if (shape.HasScales) at = Align(at + ((long)shape.Rows(part, chunks) * sizeof(float)));
        }

        Cosines = at;
        if (shape.Spec.OutlierChunks > 0) at = Align(at + ((long)chunks * sizeof(float)));
        Reaches = at;
        if (shape.HasReach) at = Align(at + ((long)chunks * sizeof(float)));
        Flags = at;
        HeadBytes = Align(at + chunks);
    }

    /// <summary>Layers times KV heads.</summary>
    internal int Heads { get; }

    /// <summary>Chunks that there is room for.</summary>
    internal int Chunks { get; }

    /// <summary>Bytes of one head's run.</summary>
    internal long HeadBytes { get; }

    /// <summary>Bytes of the segment.</summary>
    internal long Bytes => HeadBytes * Heads;

    /// <summary>First byte of a head's smallest cosines, fp32, in its run.</summary>
    internal long Cosines { get; }

    /// <summary>First byte of a head's reaches, fp32, in its run.</summary>
    internal long Reaches { get; }

    /// <summary>First byte of a head's flags in its run.</summary>
    internal long Flags { get; }

    /// <summary>Bytes of a row without its scale.</summary>
    internal int RowBytes(RowPart part) => rowBytes[(int)part];

    /// <summary>First byte of a part's rows in a head's run.</summary>
    internal long RowsAt(RowPart part) => rows[(int)part];

    /// <summary>First byte of their scales.</summary>
    internal long ScalesAt(RowPart part) => scales[(int)part];

    private static long Align(long at) => (at + Alignment - 1) / Alignment * Alignment;
}
