namespace KvTier.Recall;

/// <summary>The segments of one index, in order. The last one grows as it fills, so that a short sequence takes little.</summary>
internal sealed class SegmentStore(ChunkShape shape, int heads) : IDisposable
{
    private readonly List<DigestSegment> segments = [];

    /// <summary>Native bytes; what is shared is counted in each.</summary>
    internal long NativeBytes { get; private set; }

    /// <summary>Segments.</summary>
    internal int Count => segments.Count;

    /// <summary>A segment to read.</summary>
    internal DigestSegment this[int index] => segments[index];

    /// <summary>A segment that nobody else holds, with room for some chunks; the next one may be new.</summary>
    internal DigestSegment Writable(int index, int chunks)
    {
        if (index == segments.Count)
        {
            segments.Add(new DigestSegment(new SegmentLayout(shape, heads, Room(0, chunks))));
            NativeBytes += segments[index].Layout.Bytes;
            return segments[index];
        }

        DigestSegment old = segments[index];
        bool fits = old.Layout.Chunks >= chunks;
        if (fits && old.IsOwned)
        {
            // A copy on the device would be of what was before.
            old.OnDevice?.Drop();
            return old;
        }

        SegmentLayout layout = fits ? old.Layout : new SegmentLayout(shape, heads, Room(old.Layout.Chunks, chunks));
        segments[index] = old.CopyTo(layout, shape);
        NativeBytes += layout.Bytes - old.Layout.Bytes;
        old.Release();
        return segments[index];
    }

    /// <summary>A store that shares the first segments.</summary>
    internal SegmentStore Share(int count)
    {
        var copy = new SegmentStore(shape, heads);
        for (int s = 0; s < count; s++)
        {
            copy.segments.Add(segments[s].Share());
            copy.NativeBytes += segments[s].Layout.Bytes;
        }

        return copy;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DigestSegment segment in segments) segment.Release();
        segments.Clear();
        NativeBytes = 0;
    }

    private int Room(int had, int needed) => Math.Min(shape.ChunksPerSegment, Math.Max(needed, 2 * had));
}
