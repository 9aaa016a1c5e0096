using KvTier.Client.Local;
using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Leases blocks in shared memory.</summary>
internal sealed class LocalGetExchange : Request
{
    private ReadOnlyMemory<BlockId> ids;
    private ReadOnlyMemory<BlockId> groups;
    private LocalGetItem[] items = [];

    public override Opcode Opcode => Opcode.LocalGet;

    public override int ItemCount => ids.Length;

    public override bool NeedsLocal => true;

    /// <summary>The answers, in the order of the ids.</summary>
    public ReadOnlySpan<LocalGetItem> Items => items.AsSpan(0, ids.Length);

    /// <summary>When the leases end, in ns.</summary>
    public long LeaseDeadlineNs { get; private set; }

    /// <summary>Silos that hold the group of the first block, as the silo says.</summary>
    public int Copies { get; private set; }

    /// <summary>Room for ids and groups, for callers that do not have them in a row: twice as many as asked for.</summary>
    public BlockId[] IdBuffer { get; private set; } = [];

    public LocalSession Session => Answered!.Local!;

    public BlockId[] RentIds(int count)
    {
        if (IdBuffer.Length < 2 * count) IdBuffer = new BlockId[2 * count];
        return IdBuffer;
    }

    public void Set(KvNamespace ns, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf = default)
    {
        Namespace = ns;
        ids = blocks;
        groups = groupsOf;
        if (items.Length < blocks.Length) items = new LocalGetItem[blocks.Length];
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        LocalGetRequest.Write(buffer, handle, deadlineMs, Target!.Local!.LeaseMs, ids.Span, Route.With(groups.Span));

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (LocalGetResponseReader.TryRead(body, ids.Length, Session.ArenaBytes, limits, out LocalGetResponseReader reader) is { } error)
            return error;
        LeaseDeadlineNs = reader.LeaseDeadlineNs;
        AnsweredEpoch = reader.Epoch;
        Copies = reader.Copies;
        for (int i = 0; i < ids.Length && reader.TryReadNext(out LocalGetItem item); i++) items[i] = item;
        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        ids = default;
        groups = default;
    }
}

/// <summary>Reserves slots in shared memory.</summary>
internal sealed class LocalReserveExchange : Request
{
    private ReadOnlyMemory<PutBlock> puts;
    private ReadOnlyMemory<ReserveBlock> blocks;
    private PutOptions options;
    private ReservedItem[] items = [];
    private BlockId[] groups = [];
    private bool isGrouped;

    public override Opcode Opcode => Opcode.LocalReserve;

    public override int ItemCount => puts.IsEmpty ? blocks.Length : puts.Length;

    public override bool NeedsLocal => true;

    /// <summary>The answers, in the order of the blocks.</summary>
    public ReadOnlySpan<ReservedItem> Items => items.AsSpan(0, ItemCount);

    /// <summary>When the reservations end, in ns.</summary>
    public long LeaseDeadlineNs { get; private set; }

    /// <summary>Why the first refused one was.</summary>
    public KvError? Error { get; private set; }

    public LocalSession Session => Answered!.Local!;

    public void Set(KvNamespace ns, ReadOnlyMemory<ReserveBlock> reserve, PutOptions how) => Set(ns, default, reserve, how);

    public void Set(KvNamespace ns, ReadOnlyMemory<PutBlock> put, PutOptions how) => Set(ns, put, default, how);

    public override KvError? Check(Limits limits)
    {
        if (base.Check(limits) is { } error) return error;
        for (int i = 0; i < ItemCount; i++)
        {
            (ReadOnlyMemory<byte> key, int length, _, _) = At(i);
            if (PutExchange.CheckBlock(key.Length, length, limits) is { } refused) return refused;
        }

        return null;
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        PutFlags flags = options.Overwrite ? PutFlags.Overwrite : PutFlags.None;
        Route route = Route.With(isGrouped ? groups.AsSpan(0, ItemCount) : default);
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(
            buffer, handle, flags, PutExchange.TtlMs(options), deadlineMs, Target!.Local!.LeaseMs, ItemCount, route);
        for (int i = 0; i < ItemCount; i++)
        {
            (ReadOnlyMemory<byte> key, int length, byte codec, BlockId group) = At(i);
            writer.Add(key.Span, length, codec);
            if (isGrouped) groups[i] = group == default ? BlockId.Compute(Namespace!.Id, key.Span) : group;
        }

        writer.End();
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (LocalReserveResponseReader.TryRead(body, ItemCount, Session.ArenaBytes, out LocalReserveResponseReader reader) is { } error)
            return error;
        LeaseDeadlineNs = reader.LeaseDeadlineNs;
        Error = reader.Error;
        AnsweredEpoch = reader.Epoch;
        for (int i = 0; i < ItemCount && reader.TryReadNext(out ReservedItem item); i++)
        {
            int length = At(i).Length;
            if (item.Status == Protocol.ReserveStatus.Reserved && item.Capacity < length)
                return new KvError(ErrorCode.ProtocolViolation, $"reserve.items[{i}].capacity", $"{item.Capacity}", $"{length} or more");
            items[i] = item;
        }

        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        puts = default;
        blocks = default;
        Error = null;
    }

    private void Set(KvNamespace ns, ReadOnlyMemory<PutBlock> put, ReadOnlyMemory<ReserveBlock> reserve, PutOptions how)
    {
        Namespace = ns;
        puts = put;
        blocks = reserve;
        options = how;
        if (items.Length < ItemCount) items = new ReservedItem[ItemCount];
        isGrouped = false;
        for (int i = 0; i < ItemCount; i++) isGrouped |= At(i).Group != default;
        if (isGrouped && groups.Length < ItemCount) groups = new BlockId[ItemCount];
    }

    private (ReadOnlyMemory<byte> Key, int Length, byte Codec, BlockId Group) At(int index)
    {
        if (puts.IsEmpty)
        {
            ref readonly ReserveBlock block = ref blocks.Span[index];
            return (block.Key, block.Length, block.Codec, block.Group);
        }

        ref readonly PutBlock put = ref puts.Span[index];
        return (put.Key, put.Payload.Length, put.Codec, put.Group);
    }
}

/// <summary>Seals written slots.</summary>
internal sealed class LocalCommitExchange : Request
{
    private CommitItem[] items = [];
    private int count;
    private AckLevel ack;

    public override Opcode Opcode => Opcode.LocalCommit;

    public override int ItemCount => count;

    public override bool NeedsLocal => true;

    /// <summary>Outcome of each, in the order in which they were added.</summary>
    public PutStatus[] Statuses { get; private set; } = [];

    public PutSummary Summary { get; private set; }

    public ReadOnlySpan<CommitItem> Items => items.AsSpan(0, count);

    public void Set(LocalSession session, AckLevel level, int capacity)
    {
        Pinned = session.Connection;
        ack = level;
        count = 0;
        if (items.Length >= capacity) return;
        items = new CommitItem[capacity];
        Statuses = new PutStatus[capacity];
    }

    public void Add(ulong reservation, uint check) => items[count++] = new CommitItem(reservation, check);

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        LocalCommitRequestWriter writer = LocalCommitRequestWriter.Begin(buffer, ack, deadlineMs, count);
        foreach (ref readonly CommitItem item in Items) writer.Add(item);
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (PutResponse.TryRead(body, count, out PutResponse response) is { } error) return error;
        Summary = PutExchange.Count(response, Statuses);
        AnsweredEpoch = response.Epoch;
        return NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        count = 0;
        Summary = default;
    }
}
