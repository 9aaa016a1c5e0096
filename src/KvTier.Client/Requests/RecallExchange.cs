using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>A recall: its queries go out as they lie in the caller's memory.</summary>
internal abstract class RecallExchange : Request
{
    private readonly List<FloatBytes> queryViews = [];
    private RecallQuery query = null!;

    /// <summary>The answers, in the order of the items.</summary>
    public RecallItemResult[] Results { get; private set; } = [];

    public override int PayloadCount => query.Items.Count;

    public override long PayloadLength => Head.ItemQueryBytes * query.Items.Count;

    /// <summary>What is asked.</summary>
    protected RecallQuery Query => query;

    /// <summary>What the answer must look like.</summary>
    protected RecallShape Shape { get; private set; }

    /// <summary>What all items have in common, but for what is known only when it is sent.</summary>
    private RecallHead Head { get; set; }

    /// <summary>Takes over what is asked; it has been validated.</summary>
    public virtual void Set(KvNamespace ns, RecallQuery asked)
    {
        Namespace = ns;
        query = asked;
        ModelProfile profile = ns.Descriptor.Profile;
        int tokenBytes = profile.HeadDim * profile.Dtype.SizeBytes() * (profile.Kind == AttentionKind.Mla ? 1 : 2);
        Shape = new RecallShape(
            asked.Mode, asked.Items.Count, asked.Window, asked.QueryHeads, profile.KvHeads, profile.HeadDim, tokenBytes);
        Head = new RecallHead
        {
            Mode = asked.Mode,
            QueryHeads = asked.QueryHeads,
            Window = asked.Window,
            HeadDim = profile.HeadDim,
            Dtype = Dtype.Float32,
            Layout = asked.Layout,
            Temperature = asked.Temperature,
            LseMultiplier = asked.LseMultiplier,
            Selector = asked.Selector,
        };
        while (queryViews.Count < asked.Items.Count) queryViews.Add(new FloatBytes());
    }

    public override ReadOnlyMemory<byte> Payload(int index) => queryViews[index].Of(query.Items[index].Queries);

    public override KvError? Check(Limits limits) => PayloadLength > limits.FramePayloadBytesMax
        ? KvError.LimitExceeded("recall.payloadLength", PayloadLength, limits.FramePayloadBytesMax)
        : null;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        uint check = 0;
        for (int i = 0; i < query.Items.Count; i++) check = Crc32C.Append(check, Payload(i).Span);
        RecallHead head = Head with
        {
            Namespace = handle,
            DeadlineMs = deadlineMs,
            LeaseMs = LeaseMs,
            QueryCheck = check,
            Epoch = Route.Epoch,
        };
        RecallRequestWriter writer = RecallRequestWriter.Begin(buffer, head, query.Items.Count);
        foreach (RecallQueryItem item in query.Items) writer.Add(item.Sequence, item.Layer, item.Held.Span);
        writer.End();
    }

    public override void Clear()
    {
        base.Clear();
        query = null!;
        Results = [];
        foreach (FloatBytes view in queryViews) view.Of(default(Memory<float>));
    }

    /// <summary>How long a lease is asked for, in ms; 0 for none.</summary>
    protected virtual int LeaseMs => 0;

    /// <summary>Takes the items of an answer over.</summary>
    /// <returns>Null, or what in them breaks the protocol.</returns>
    protected KvError? Take(RecallItemsReader items)
    {
        var results = new RecallItemResult[items.Count];
        for (int i = 0; items.TryReadNext(out RecallItemView item); i++)
        {
            int held = query.Items[i].Held.Length;
            if (item.Slots.Count != held)
                return new KvError(ErrorCode.ProtocolViolation, $"recall.items[{i}].slots.count", $"{item.Slots.Count}", $"{held}");
            results[i] = ResultOf(item);
        }

        Results = results;
        return null;
    }

    private static RecallItemResult ResultOf(in RecallItemView item)
    {
        int[] numbers = new int[
            item.Counts.Count + item.Units.Count + item.Slots.Count + item.SentCounts.Count + item.Sent.Count];
        int used = 0;
        var missing = item.Missing.Count == 0 ? [] : new MissingTokens[item.Missing.Count];
        for (int i = 0; i < missing.Length; i++) missing[i] = item.Missing[i];
        return new RecallItemResult
        {
            UnitTokens = item.UnitTokens,
            Counts = Copy(item.Counts, numbers, ref used),
            Units = Copy(item.Units, numbers, ref used),
            Slots = Copy(item.Slots, numbers, ref used),
            SentCounts = Copy(item.SentCounts, numbers, ref used),
            Sent = Copy(item.Sent, numbers, ref used),
            Missing = missing,
            GatherRows = item.GatherRows,
            PayloadOffset = item.PayloadOffset,
            PayloadLength = item.PayloadLength,
            Check = item.Check,
            Cost = item.Cost,
        };
    }

    private static ReadOnlyMemory<int> Copy(Int32List list, int[] numbers, ref int used)
    {
        Memory<int> part = numbers.AsMemory(used, list.Count);
        list.CopyTo(part.Span);
        used += list.Count;
        return part;
    }
}
