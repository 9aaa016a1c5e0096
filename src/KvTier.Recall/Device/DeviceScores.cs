namespace KvTier.Recall;

/// <summary>What the device scored of one digest for one layer. One for each thread that selects, used again and again.</summary>
internal sealed class DeviceScores
{
    [ThreadStatic]
    private static DeviceScores? current;

    private readonly Dictionary<DigestSegment, int> ordinals = [];
    private readonly List<DeviceSegment> segments = [];
    private readonly ScoredParts plain = new(bounds: false);
    private readonly ScoredParts signs = new(bounds: true);
    private int kvHeads;

    /// <summary>This thread's scores.</summary>
    internal static DeviceScores Current => current ??= new DeviceScores();

    /// <summary>Segments that are used.</summary>
    internal List<DeviceSegment> Segments => segments;

    /// <summary>Rows scored.</summary>
    internal int Rows { get; private set; }

    /// <summary>Forgets all.</summary>
    internal void Clear()
    {
        ordinals.Clear();
        segments.Clear();
        Rows = 0;
    }

    /// <summary>Adds a segment that is on the device.</summary>
    internal void Add(DigestSegment segment, DeviceSegment there)
    {
        ordinals.Add(segment, segments.Count);
        segments.Add(there);
    }

    /// <summary>Has the device score the segments for all KV heads of a layer.</summary>
    /// <returns>Null, or what failed. Nothing is scored when the device can't do it.</returns>
    internal KvError? Score(IDeviceKernels device, in ChunkView view, in SelectRequest request, int heads)
    {
        kvHeads = heads;
        ChunkShape shape = view.Shape;
        int queries = HeadQueries.Count(request, kvHeads);
        if (!plain.Begin(device, shape, segments.Count, queries, kvHeads)) return null;
        if (!signs.Begin(device, shape, segments.Count, queries, kvHeads)) return null;
        ScoreTable table = ScoreTable.Current;
        for (int head = 0; head < kvHeads; head++)
        {
            HeadQueries.Set(request, head, kvHeads, shape.HeadDim, table);
            plain.SetQueries(head, table.Forms);
            signs.SetQueries(head, table.Forms);
        }

        int firstHead = request.Layer * kvHeads;
        SegmentLayout layout = view.Store[0].Layout;
        KvError? error = plain.Score(device, shape, layout, segments, firstHead) ?? signs.Score(device, shape, layout, segments, firstHead);
        if (error is null) Rows = plain.Rows + signs.Rows;
        return error;
    }

    /// <summary>Copies the scores of some rows, a line for each query.</summary>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="part">Which rows.</param>
    /// <param name="segment">Of which segment.</param>
    /// <param name="row">First row.</param>
    /// <param name="count">Rows.</param>
    /// <param name="scores">Receives them.</param>
    /// <param name="stride">Floats from one query's line to the next one's.</param>
    /// <returns>False when the device did not score them.</returns>
    internal bool TryCopy(int head, RowPart part, DigestSegment segment, int row, int count, Span<float> scores, int stride)
    {
        if (Rows == 0 || !ordinals.TryGetValue(segment, out int ordinal)) return false;
        int kvHead = head % kvHeads;
        return plain.TryCopy(kvHead, part, ordinal, row, count, scores, stride)
            || signs.TryCopy(kvHead, part, ordinal, row, count, scores, stride);
    }
}
