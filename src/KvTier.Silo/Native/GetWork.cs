using System.Buffers;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>A get or local get on its way: its ids and what became of each. Rented per request, so that gets allocate nothing.</summary>
internal sealed class GetWork
{
    private BlockId[] ids = [];
    private ByteRange[] ranges = [];
    private LeaseResult[] results = [];
    private BlockId[] groups = [];

    /// <summary>The request's header.</summary>
    public FrameHeader Header { get; set; }

    /// <summary>When it came.</summary>
    public long ReceivedAt { get; set; }

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private set; }

    /// <summary>Longest it may take, in ms; 0 for the default.</summary>
    public int DeadlineMs { get; private set; }

    /// <summary>Longest that local leases last, in ms.</summary>
    public int LeaseMs { get; set; }

    /// <summary>True when local leases are granted for bytes only whose check was computed anew.</summary>
    public bool IsChecked { get; set; }

    /// <summary>Blocks asked for.</summary>
    public int Count { get; private set; }

    /// <summary>Blocks that have to be read from the SSD first.</summary>
    public int Waiting { get; set; }

    /// <summary>Whose request it is, and by which map.</summary>
    public RequestRoute Route { get; private set; }

    /// <summary>Blocks that silos may have which held their groups before; they are asked first.</summary>
    public List<int> Elsewhere { get; } = [];

    /// <summary>True when something must be waited for before the answer can be sent.</summary>
    public bool MustWait => Waiting > 0 || Elsewhere.Count > 0;

    /// <summary>The group of each block; empty outside of a cluster.</summary>
    public ReadOnlySpan<BlockId> Groups => groups.AsSpan(0, groups.Length == 0 ? 0 : Count);

    /// <summary>The ids.</summary>
    public ReadOnlySpan<BlockId> Ids => ids.AsSpan(0, Count);

    /// <summary>What became of each.</summary>
    public Span<LeaseResult> Results => results.AsSpan(0, Count);

    /// <summary>Takes a request over.</summary>
    public void Begin(FrameHeader header, long receivedAt, ushort ns, int deadlineMs, int leaseMs, IdList list, RangeList wanted)
    {
        Header = header;
        ReceivedAt = receivedAt;
        Namespace = ns;
        DeadlineMs = deadlineMs;
        LeaseMs = leaseMs;
        Count = list.Count;
        Waiting = 0;
        ids = ArrayPool<BlockId>.Shared.Rent(Count);
        ranges = ArrayPool<ByteRange>.Shared.Rent(Count);
        results = ArrayPool<LeaseResult>.Shared.Rent(Count);
        list.CopyTo(ids);
        for (int i = 0; i < Count; i++) ranges[i] = wanted[i];
        results.AsSpan(0, Count).Clear();
    }

    /// <summary>Takes the request's route over, and the group of each block; only called in a cluster.</summary>
    public void BeginRouted(scoped in RouteView route)
    {
        Route = new RequestRoute(route.Epoch, route.Role);
        groups = ArrayPool<BlockId>.Shared.Rent(Math.Max(Count, 1));
        if (route.Groups.Count > 0) route.Groups.CopyTo(groups);
        else Ids.CopyTo(groups);
    }

    /// <summary>The bytes asked for of a block that is a hit.</summary>
    /// <returns>False when they are not inside the block.</returns>
    public bool TryRange(int index, out int offset, out int length) => TryRange(index, results[index].Lease.Length, out offset, out length);

    /// <summary>The bytes asked for of a block of a known length.</summary>
    /// <returns>False when they are not inside the block.</returns>
    public bool TryRange(int index, int blockLength, out int offset, out int length)
    {
        (offset, length) = ranges[index];
        if (length == 0) length = blockLength - offset;
        return offset <= blockLength && length <= blockLength - offset;
    }

    /// <summary>Gives every lease back that is still held.</summary>
    public void ReleaseAll(BlockEngine engine)
    {
        for (int i = 0; i < Count; i++) Release(engine, i);
    }

    /// <summary>Gives one lease back, if it is held.</summary>
    public void Release(BlockEngine engine, int index)
    {
        if (!IsHit(index)) return;
        engine.Release(results[index].Lease);
        results[index] = new LeaseResult(MissReason.Evicted, default);
    }

    /// <summary>True when a block's lease is held.</summary>
    public bool IsHit(int index) => results[index].Reason == MissReason.None;

    /// <summary>Ends the work; every lease was given back or handed on.</summary>
    public void End()
    {
        ArrayPool<BlockId>.Shared.Return(ids);
        ArrayPool<ByteRange>.Shared.Return(ranges);
        ArrayPool<LeaseResult>.Shared.Return(results);
        if (groups.Length > 0) ArrayPool<BlockId>.Shared.Return(groups);
        Elsewhere.Clear();
        IsChecked = false;
        Route = default;
        groups = [];
        ids = [];
        ranges = [];
        results = [];
        Count = 0;
    }
}
