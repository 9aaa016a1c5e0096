using System.Buffers;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>One block of a put, reserve or commit. Its key lies in the request's body.</summary>
internal struct PutEntry
{
    /// <summary>The block.</summary>
    public BlockId Id;

    /// <summary>Its group.</summary>
    public BlockId Group;

    /// <summary>Handle of its namespace.</summary>
    public ushort Namespace;

    /// <summary>First byte of its key in the body.</summary>
    public int KeyOffset;

    /// <summary>Bytes of its key.</summary>
    public int KeyLength;

    /// <summary>Bytes of the block.</summary>
    public int Length;

    /// <summary>Stored form.</summary>
    public byte Codec;

    /// <summary>What the client says its check is.</summary>
    public uint Check;

    /// <summary>The reservation's number, of a commit.</summary>
    public ulong Reservation;

    /// <summary>The row of a region that its bytes are in.</summary>
    public int Row;
}

/// <summary>A put, reserve or commit on its way. Rented per request, so that puts allocate nothing.</summary>
internal sealed class PutWork
{
    private PutEntry[] entries = [];
    private PutItemStatus[] statuses = [];
    private ReservedItem[] reserved = [];
    private byte[] bodyCopy = [];

    /// <summary>The request's header.</summary>
    public FrameHeader Header { get; private set; }

    /// <summary>When it came.</summary>
    public long ReceivedAt { get; private set; }

    /// <summary>Handle of the namespace; unused by a commit.</summary>
    public ushort Namespace { get; set; }

    /// <summary>How far the put must come before it is answered.</summary>
    public AckLevel Ack { get; set; }

    /// <summary><see cref="Engine.BlockEngine.LostBlocks"/> before the first block of the request was put.</summary>
    public long LostBefore { get; set; }

    /// <summary>Whose request it is, and by which map.</summary>
    public RequestRoute Route { get; set; }

    /// <summary>Epoch of the silo's map when the first block was admitted; 0 outside of a cluster.</summary>
    public long AdmittedEpoch { get; set; }

    /// <summary>True to replace blocks that are here.</summary>
    public bool Overwrite { get; set; }

    /// <summary>When the blocks expire, in ms since 1970; 0 for never.</summary>
    public long ExpiryUnixMs { get; set; }

    /// <summary>Longest the request may take, in ms; 0 for the default.</summary>
    public int DeadlineMs { get; set; }

    /// <summary>Longest that reservations last, in ms.</summary>
    public int LeaseMs { get; set; }

    /// <summary>Deadline of the reservations, told to the client.</summary>
    public long LeaseDeadlineNs { get; set; }

    /// <summary>Blocks of the request.</summary>
    public int Count { get; private set; }

    /// <summary>Why the first refused block was, or why durability could not be given.</summary>
    public KvError? Error { get; set; }

    /// <summary>The blocks.</summary>
    public Span<PutEntry> Entries => entries.AsSpan(0, Count);

    /// <summary>What became of each, of a put or commit.</summary>
    public Span<PutItemStatus> Statuses => statuses.AsSpan(0, Count);

    /// <summary>What became of each, of a reserve.</summary>
    public Span<ReservedItem> Reserved => reserved.AsSpan(0, Count);

    /// <summary>The body, copied because the request outlives its receive buffer.</summary>
    public ReadOnlyMemory<byte> BodyCopy { get; private set; }

    /// <summary>Takes a request over.</summary>
    public void Begin(FrameHeader header, long receivedAt, int count)
    {
        Header = header;
        ReceivedAt = receivedAt;
        Count = count;
        Error = null;
        Route = default;
        AdmittedEpoch = 0;
        entries = ArrayPool<PutEntry>.Shared.Rent(count);
        statuses = ArrayPool<PutItemStatus>.Shared.Rent(count);
    }

    /// <summary>Makes room for the answers of a reserve, and copies its body.</summary>
    public void BeginReserve(ReadOnlySpan<byte> body)
    {
        reserved = ArrayPool<ReservedItem>.Shared.Rent(Count);
        Reserved.Clear();
        CopyBody(body);
    }

    /// <summary>Copies the body, for a request that is done beside the loop.</summary>
    public void CopyBody(ReadOnlySpan<byte> body)
    {
        bodyCopy = ArrayPool<byte>.Shared.Rent(body.Length);
        body.CopyTo(bodyCopy);
        BodyCopy = bodyCopy.AsMemory(0, body.Length);
    }

    /// <summary>True when a block is here after the request, stored by it or before.</summary>
    public bool HasAny => Statuses.IndexOfAny(PutItemStatus.Stored, PutItemStatus.Present) >= 0;

    /// <summary>Notes that a block is refused; the first reason is kept.</summary>
    public void Refuse(int index, KvError error)
    {
        Statuses[index] = PutItemStatus.Refused;
        Error ??= error;
    }

    /// <summary>Ends the work.</summary>
    public void End()
    {
        ArrayPool<PutEntry>.Shared.Return(entries);
        ArrayPool<PutItemStatus>.Shared.Return(statuses);
        if (reserved.Length > 0) ArrayPool<ReservedItem>.Shared.Return(reserved);
        if (bodyCopy.Length > 0) ArrayPool<byte>.Shared.Return(bodyCopy);
        entries = [];
        statuses = [];
        reserved = [];
        bodyCopy = [];
        BodyCopy = default;
        Count = 0;
        Error = null;
    }
}
