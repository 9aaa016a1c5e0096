using System.Buffers;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>One request on its way: its items, the blocks and granules that they need. Made once and used again.</summary>
internal sealed class RecallRun
{
    private readonly List<ItemRun> items = [];
    private byte[]? borrowed;

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

    /// <summary>Memory for granules that are read for this run alone.</summary>
    internal Memory<byte> Borrow(int bytes)
    {
        borrowed = ArrayPool<byte>.Shared.Rent(bytes);
        return borrowed.AsMemory(0, bytes);
    }

    /// <summary>Ends: gives leases and memory back.</summary>
    internal void End(BlockEngine engine, HotSet hot)
    {
        hot.Release(Reads.Span);
        foreach (ref BlockSource source in Sources.Span)
        {
            if (source.IsLeased) engine.Release(source.Lease);
        }

        for (int i = 0; i < ItemCount; i++) items[i].End();
        Sources.Clear();
        Reads.Clear();
        Payload = default;
        Request = null!;
        if (borrowed is null) return;
        ArrayPool<byte>.Shared.Return(borrowed);
        borrowed = null;
    }
}
