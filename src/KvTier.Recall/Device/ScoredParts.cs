namespace KvTier.Recall;

/// <summary>Scores of some segments' rows for one layer: of all parts that are scored by one form of the queries. Used again and again.
/// </summary>
/// <param name="bounds">True for rows of bounds (2D), which are scored by signs; false for rows of D.</param>
internal sealed class ScoredParts(bool bounds)
{
    private readonly int[] ordinals = new int[ChunkShape.Parts];
    private float[] queryRows = [];
    private float[] scores = [];
    private DeviceRange[] ranges = [];
    private int parts;
    private int rowLength;
    private int queries;
    private int segments;
    private int rowsPerSegment;
    private int headRows;
    private int headsPerBatch;
    private int kvHeads;

    /// <summary>Rows scored of all heads; 0 when there are none.</summary>
    internal int Rows => parts == 0 ? 0 : headRows * kvHeads;

    /// <summary>True when a digest has such rows.</summary>
    internal bool IsIn(ChunkShape shape)
    {
        for (int p = 0; p < ChunkShape.Parts; p++)
            if (Has(shape, (RowPart)p)) return true;
        return false;
    }

    /// <summary>Makes room.</summary>
    /// <returns>False when the device can't score so much at once, or rows of this kind.</returns>
    internal bool Begin(IDeviceKernels device, ChunkShape shape, int segmentCount, int queryCount, int headCount)
    {
        parts = 0;
        for (int p = 0; p < ChunkShape.Parts; p++) ordinals[p] = Has(shape, (RowPart)p) ? parts++ : -1;
        if (parts == 0) return true;
        (segments, queries, kvHeads) = (segmentCount, queryCount, headCount);
        rowLength = bounds ? 2 * shape.HeadDim : shape.HeadDim;
        rowsPerSegment = shape.Rows(RowPart.Main, shape.ChunksPerSegment);
        long perHead = (long)parts * segments * rowsPerSegment;
        if (!device.CanScore(shape.Dtype, rowLength, queries) || perHead * queries > device.ScoresMax) return Fail();
        if (perHead * queries * kvHeads > Array.MaxLength) return Fail();
        headRows = (int)perHead;
        headsPerBatch = Math.Min(kvHeads, device.ScoresMax / (headRows * queries));
        Grow(ref queryRows, kvHeads * queries * rowLength);
        Grow(ref scores, headRows * queries * kvHeads);
        Grow(ref ranges, parts * segments * headsPerBatch);
        return true;
    }

    /// <summary>Takes a KV head's transformed queries.</summary>
    internal void SetQueries(int kvHead, QueryForms forms)
    {
        if (parts == 0) return;
        int length = queries * rowLength;
        (bounds ? forms.Signs : forms.Plain).CopyTo(queryRows.AsSpan(kvHead * length, length));
    }

    /// <summary>Has the device score, as many heads at a time as it has room for.</summary>
    internal KvError? Score(
        IDeviceKernels device, ChunkShape shape, SegmentLayout layout, IReadOnlyList<DeviceSegment> there, int firstHead)
    {
        for (int head = 0; head < kvHeads && parts > 0; head += headsPerBatch)
        {
            int heads = Math.Min(headsPerBatch, kvHeads - head);
            int count = 0;
            for (int h = head; h < head + heads; h++) AddRanges(shape, layout, there, firstHead + h, (h - head) * queries, ref count);
            var batch = new DeviceScore
            {
                Dtype = shape.Dtype,
                RowLength = rowLength,
                Queries = queries,
                QueryRows = queryRows.AsSpan(head * queries * rowLength, heads * queries * rowLength),
                Ranges = ranges.AsSpan(0, count),
            };
            if (device.Score(batch, scores.AsSpan(head * queries * headRows, heads * queries * headRows)) is { } error) return error;
        }

        return null;
    }

    /// <summary>Copies the scores of some rows of a segment, a line for each query.</summary>
    /// <returns>False when that part was not scored.</returns>
    internal bool TryCopy(int kvHead, RowPart part, int ordinal, int row, int count, Span<float> destination, int stride)
    {
        if (parts == 0 || ordinals[(int)part] < 0) return false;
        int batch = kvHead / headsPerBatch * headsPerBatch;
        int line = Math.Min(headsPerBatch, kvHeads - batch) * headRows;
        int at = (batch * queries * headRows) + ((kvHead - batch) * headRows)
            + (((ordinals[(int)part] * segments) + ordinal) * rowsPerSegment) + row;
        for (int q = 0; q < queries; q++) scores.AsSpan(at + (q * line), count).CopyTo(destination[(q * stride)..]);
        return true;
    }

    private void AddRanges(
        ChunkShape shape, SegmentLayout layout, IReadOnlyList<DeviceSegment> there, int head, int firstQuery, ref int count)
    {
        for (int p = 0; p < ChunkShape.Parts; p++)
        {
            if (ordinals[p] < 0) continue;
            foreach (DeviceSegment segment in there)
            {
                long at = segment.Place.Offset + (head * layout.HeadBytes);
                long scales = shape.HasScales ? at + layout.ScalesAt((RowPart)p) : -1;
                ranges[count++] = new DeviceRange(at + layout.RowsAt((RowPart)p), rowsPerSegment, firstQuery, scales);
            }
        }
    }

    // Deviations are squared before they are scored, and nodes are the host's.
    private bool Has(ChunkShape shape, RowPart part)
    {
        if (shape.RowLength(part) == 0) return false;
        if (part == RowPart.Main) return bounds == (shape.Spec.Kind is DigestKind.MinMax or DigestKind.Cuboid);
        if (shape.Spec.SubChunks > 1) return false;
        return bounds ? part == RowPart.Bounds : part is >= RowPart.Direction and < RowPart.PeakValue;
    }

    private bool Fail()
    {
        parts = 0;
        return false;
    }

    private static void Grow<T>(ref T[] array, int length)
    {
        if (array.Length < length) array = new T[Math.Max(length, Math.Min(2 * array.Length, Array.MaxLength))];
    }
}
