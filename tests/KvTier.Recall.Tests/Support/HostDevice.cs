using KvTier.Kernels;

namespace KvTier.Recall.Tests;

/// <summary>A device whose memory is an array and whose kernels are the host's; it fails when told to.</summary>
internal sealed class HostDevice(int capacity) : IRecallDevice
{
    private readonly byte[] memory = new byte[capacity];
    private readonly SortedDictionary<long, int> taken = [];
    private readonly Lock gate = new();

    public long CapacityBytes => capacity;

    public KvError? Fault { get; private set; }

    internal int PlacesTaken => taken.Count;

    internal int Attends { get; private set; }

    internal int Copies { get; private set; }

    /// <summary>The next attention or copy ends in this error.</summary>
    internal KvError? NextError { get; set; }

    /// <summary>True when the error is final.</summary>
    internal bool IsFinal { get; set; }

    internal int Scores { get; private set; }

    public int ScoresMax { get; init; } = 1 << 20;

    public bool CanScore(Dtype dtype, int rowLength, int queries) => rowLength % 4 == 0 && queries <= 64;

    public bool CanAttend(Dtype dtype, int headDim, int queriesPerGroup) => headDim <= 64 && queriesPerGroup <= 8;

    public bool TryAllocate(int bytes, out DevicePlace place)
    {
        place = default;
        lock (gate)
        {
            long at = 0;
            foreach ((long offset, int length) in taken)
            {
                if (offset - at >= bytes) break;
                at = offset + length;
            }

            if (Fault is not null || at + bytes > capacity) return false;
            place = new DevicePlace(at, (bytes + 15) / 16 * 16);
            taken.Add(at, place.Capacity);
            return true;
        }
    }

    public void Free(DevicePlace place)
    {
        lock (gate)
        {
            Assert.True(taken.Remove(place.Offset), "a place is freed once");
            memory.AsSpan((int)place.Offset, place.Capacity).Fill(0xFF);
        }
    }

    public KvError? Copy(ReadOnlyMemory<byte> source, DevicePlace place)
    {
        if (Fails() is { } error) return error;
        source.CopyTo(memory.AsMemory((int)place.Offset, place.Capacity));
        Copies++;
        return null;
    }

    public KvError? Attend(in DeviceAttend batch, Span<float> outputs, Span<float> lses)
    {
        if (Fails() is { } error) return error;
        Attends++;
        int row = 0;
        int length = batch.QueriesPerGroup * batch.HeadDim;
        for (int g = 0; g < batch.RowCounts.Length; g++)
        {
            var part = new AttentionPart(batch.QueriesPerGroup, batch.HeadDim);
            for (int i = 0; i < batch.RowCounts[g]; i++)
            {
                DeviceRows rows = batch.Rows[row++];
                int bytes = rows.Tokens * batch.HeadDim * batch.Dtype.SizeBytes();
                Assert.Equal(0, (rows.KeyOffset | rows.ValueOffset) & 15);
                part.Add(
                    batch.Dtype, memory.AsSpan((int)rows.KeyOffset, bytes), memory.AsSpan((int)rows.ValueOffset, bytes), rows.Tokens,
                    batch.Queries.Slice(g * length, length), batch.Scale);
            }

            part.Finish(outputs.Slice(g * length, length), lses.Slice(g * batch.QueriesPerGroup, batch.QueriesPerGroup));
        }

        Assert.Equal(batch.Rows.Length, row);
        return null;
    }

    public KvError? Score(in DeviceScore batch, Span<float> scores)
    {
        if (Fails() is { } error) return error;
        Scores++;
        Assert.InRange(scores.Length, 1, ScoresMax);
        int all = 0;
        foreach (DeviceRange range in batch.Ranges) all += range.Rows;
        Assert.Equal(batch.Queries * all, scores.Length);
        int first = 0;
        foreach (DeviceRange range in batch.Ranges)
        {
            Assert.Equal(0, range.Offset & 15);
            RowDot.Dot(
                batch.Dtype,
                memory.AsSpan((int)range.Offset, range.Rows * batch.RowLength * batch.Dtype.SizeBytes()),
                range.Rows,
                batch.RowLength,
                batch.QueryRows.Slice(range.FirstQuery * batch.RowLength, batch.Queries * batch.RowLength),
                batch.Queries,
                range.ScaleOffset < 0
                    ? []
                    : System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(memory.AsSpan((int)range.ScaleOffset, range.Rows * 4)),
                scores[first..],
                all);
            first += range.Rows;
        }

        return null;
    }

    private KvError? Fails()
    {
        if (Fault is not null) return Fault;
        KvError? error = NextError;
        NextError = null;
        if (IsFinal) Fault = error;
        return error;
    }
}
