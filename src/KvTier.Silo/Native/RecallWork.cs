using System.Buffers;
using System.Text;
using KvTier.Kernels;
using KvTier.Protocol;
using KvTier.Recall;

namespace KvTier.Silo.Native;

/// <summary>A recall on its way: its queries and what is asked about each sequence. Rented per request.</summary>
internal sealed class RecallWork
{
    private byte[] queryBytes = [];
    private float[] queries = [];
    private int[] held = [];
    private Dtype dtype;
    private int queryLength;
    private uint queryCheck;

    /// <summary>The request's header.</summary>
    public FrameHeader Header { get; private set; }

    /// <summary>When it came.</summary>
    public long ReceivedAt { get; private set; }

    /// <summary>Longest it may take, in ms; 0 for the default.</summary>
    public int DeadlineMs { get; private set; }

    /// <summary>Epoch of the sender's map; 0 for none.</summary>
    public long Epoch { get; private set; }

    /// <summary>How long the lease of a local recall lasts, in ms.</summary>
    public int LeaseMs { get; private set; }

    /// <summary>What is asked.</summary>
    public RecallRequest Request { get; private set; } = null!;

    /// <summary>Bytes of the queries on the wire.</summary>
    public int QueryBytes => queryLength;

    /// <summary>Where the queries are received.</summary>
    public Memory<byte> QueryBuffer => queryBytes.AsMemory(0, queryLength);

    /// <summary>Takes a request over; its queries are still to be received.</summary>
    /// <param name="header">The request's header.</param>
    /// <param name="receivedAt">When it came.</param>
    /// <param name="reader">The request, checked.</param>
    /// <param name="leaseMs">How long the lease of a local recall lasts.</param>
    public void Begin(in FrameHeader header, long receivedAt, RecallRequestReader reader, int leaseMs)
    {
        RecallHead head = reader.Head;
        Header = header;
        ReceivedAt = receivedAt;
        DeadlineMs = head.DeadlineMs;
        Epoch = head.Epoch;
        LeaseMs = leaseMs;
        dtype = head.Dtype;
        queryCheck = head.QueryCheck;
        queryLength = (int)header.PayloadLength;
        queryBytes = ArrayPool<byte>.Shared.Rent(queryLength);
        queries = ArrayPool<float>.Shared.Rent(queryLength / dtype.SizeBytes());
        Request = new RecallRequest
        {
            Namespace = head.Namespace,
            Mode = head.Mode,
            Selector = head.Selector,
            QueryHeads = head.QueryHeads,
            Window = head.Window,
            Layout = head.Layout,
            Temperature = head.Temperature,
            LseMultiplier = head.LseMultiplier,
            InSharedMemory = header.Opcode == Opcode.LocalRecall,
            Items = ReadItems(reader, (int)(head.ItemQueryBytes / dtype.SizeBytes())),
        };
    }

    /// <summary>Checks the queries received, and makes fp32 of them.</summary>
    /// <returns>Null when they are those that the client meant.</returns>
    public KvError? TakeQueries()
    {
        uint crc = Crc32C.Compute(QueryBuffer.Span);
        if (crc != queryCheck)
            return new KvError(ErrorCode.Corrupt, "recall.queryCheck", $"{queryCheck:X8}", $"{crc:X8}, that of the bytes received");
        RowConvert.ToSingle(dtype, QueryBuffer.Span, queries.AsSpan(0, queryLength / dtype.SizeBytes()));
        return null;
    }

    /// <summary>Ends the work.</summary>
    /// <param name="keepsQueries">True when somebody may still read the queries: then they are left to the garbage collector.</param>
    public void End(bool keepsQueries)
    {
        ArrayPool<byte>.Shared.Return(queryBytes);
        if (!keepsQueries)
        {
            ArrayPool<float>.Shared.Return(queries);
            if (held.Length > 0) ArrayPool<int>.Shared.Return(held);
        }

        queryBytes = [];
        queries = [];
        held = [];
        Request = null!;
    }

    private RecallItem[] ReadItems(RecallRequestReader reader, int itemFloats)
    {
        int slots = 0;
        for (RecallRequestReader count = reader; count.TryReadNext(out RecallRequestItem item);) slots += item.Held.Count;
        held = slots == 0 ? [] : ArrayPool<int>.Shared.Rent(slots);
        var items = new RecallItem[reader.Count];
        string name = "";
        ReadOnlySpan<byte> lastName = default;
        slots = 0;
        for (int i = 0; reader.TryReadNext(out RecallRequestItem item); i++)
        {
            // The layers of a sequence mostly follow one another.
            if (!item.Sequence.SequenceEqual(lastName)) name = Encoding.UTF8.GetString(item.Sequence);
            lastName = item.Sequence;
            item.Held.CopyTo(held.AsSpan(slots));
            items[i] = new RecallItem
            {
                Sequence = name,
                Layer = item.Layer,
                Queries = queries.AsMemory(i * itemFloats, itemFloats),
                Held = held.AsMemory(slots, item.Held.Count),
            };
            slots += item.Held.Count;
        }

        return items;
    }
}
