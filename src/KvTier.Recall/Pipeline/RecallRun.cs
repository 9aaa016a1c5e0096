using System.Buffers;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>One request on its way: its items, the blocks and granules that they need. Made once and used again.</summary>
internal sealed class RecallRun
{
    private readonly List<ItemRun> items = [];
    private byte[]? borrowed;
    private ByteGate? lender;
    private long lent;
    private float[] deviceOutputs = [];
    private float[] deviceLses = [];
    private int deviceQueries;
    private int deviceDim;

    /// <summary>What was asked.</summary>
    internal RecallRequest Request { get; private set; } = null!;

    /// <summary>Items of the request.</summary>
    internal int ItemCount { get; private set; }

    /// <summary>KV heads, the same for all items.</summary>
    internal int KvHeads { get; private set; }

    /// <summary>Factor of q·k: 1 / (√D · temperature).</summary>
    internal float Scale { get; private set; }

    /// <summary>Blocks that are read from.</summary>
    internal RunList<BlockSource> Sources { get; } = new();

    /// <summary>Granules of blocks that are not in host memory.</summary>
    internal RunList<GranuleRead> Reads { get; } = new();

    /// <summary>Sequences whose turn it has.</summary>
    internal List<SequenceGrain> Grains { get; } = [];

    /// <summary>Queries of a KV head: window times group.</summary>
    internal int QueriesPerHead => Request.Window * Request.QueryHeads / KvHeads;

    /// <summary>True when some rows are attended to on the device.</summary>
    internal bool UsesDevice { get; set; }

    /// <summary>o of the device's parts, <c>[items, Hkv, W · G, D]</c>.</summary>
    internal Span<float> DeviceOutputs => deviceOutputs.AsSpan(0, deviceQueries * deviceDim);

    /// <summary>lse of the device's parts, <c>[items, Hkv, W · G]</c>.</summary>
    internal Span<float> DeviceLses => deviceLses.AsSpan(0, deviceQueries);

    /// <summary>The payload that is written.</summary>
    internal Memory<byte> Payload { get; set; }

    /// <summary>Begins.</summary>
    internal void Begin(RecallRequest request, BlockLayout layout)
    {
        Request = request;
        KvHeads = layout.KvHeads;
        Scale = 1 / (MathF.Sqrt(layout.HeadDim) * request.Temperature);
        ItemCount = request.Items.Count;
        while (items.Count < ItemCount) items.Add(new ItemRun());
    }

    /// <summary>An item.</summary>
    internal ItemRun this[int index] => items[index];

    /// <summary>False when every choice was made before, with nothing to estimate: then nobody need be woken for it.</summary>
    internal bool HasToChoose
    {
        get
        {
            for (int i = 0; i < ItemCount; i++)
                if (items[i].HasToChoose) return true;
            return false;
        }
    }

    /// <summary>Notes whose bytes are to be given back at the end.</summary>
    internal void Lend(ByteGate memory, long bytes)
    {
        lender = memory;
        lent = bytes;
    }

    /// <summary>Memory for granules that are read for this run alone.</summary>
    internal Memory<byte> Borrow(int bytes)
    {
        borrowed = ArrayPool<byte>.Shared.Rent(bytes);
        return borrowed.AsMemory(0, bytes);
    }

    /// <summary>Makes room for the device's parts.</summary>
    internal void BeginDevice(int queries, int dim)
    {
        deviceQueries = queries;
        deviceDim = dim;
        if (deviceOutputs.Length < queries * dim) deviceOutputs = new float[queries * dim];
        if (deviceLses.Length < queries) deviceLses = new float[queries];
    }

    /// <summary>Copies the queries of a KV head, <c>[W · G, D]</c>: window outside, group inside.</summary>
    internal void CopyQueries(ItemRun item, int head, Span<float> destination)
    {
        int length = destination.Length / Request.Window;
        ReadOnlySpan<float> all = item.Item.Queries.Span;
        for (int w = 0; w < Request.Window; w++)
            all.Slice(((w * KvHeads) + head) * length, length).CopyTo(destination[(w * length)..]);
    }

    /// <summary>Gives back what was planned to be read from, to plan anew or at the end.</summary>
    internal void ClearPlan(BlockEngine engine, HotSet hot, DeviceTier device)
    {
        hot.Release(Reads.Span);
        foreach (ref BlockSource source in Sources.Span)
        {
            if (source.IsLeased) engine.Release(source.Lease);
            if (source.OnDevice is not null) device.EndUse(source.OnDevice);
        }

        Sources.Clear();
        Reads.Clear();
        UsesDevice = false;
    }

    /// <summary>Ends: gives everything back.</summary>
    internal void End(BlockEngine engine, HotSet hot, DeviceTier device)
    {
        ClearPlan(engine, hot, device);
        for (int i = 0; i < ItemCount; i++) items[i].End();
        Payload = default;
        Request = null!;
        if (borrowed is not null) ArrayPool<byte>.Shared.Return(borrowed);
        borrowed = null;
        lender?.Return(lent);
        lender = null;
    }
}
