using System.Runtime.CompilerServices;

namespace KvTier.Engine;

/// <summary>
/// A read of ranges of one block from the log, for one item of a call or for several that follow each other. Used again and again, so that
/// a read allocates nothing: it awaits the log with one callback that it keeps.
/// </summary>
internal sealed class RangeRead : ILogRangeSink
{
    /// <summary>Most items: one thread of the log reads them one after another, so more would be slower where there are threads to spare.
    /// </summary>
    internal const int ItemsMax = 8;

    private readonly Action completed;
    private ConfiguredValueTaskAwaitable<LogReadResult>.ConfiguredValueTaskAwaiter awaiter;
    private readonly BlockRanges[] items = new BlockRanges[ItemsMax];
    private readonly int[] starts = new int[ItemsMax];
    private BlockRange[] ranges = new BlockRange[2 * ItemsMax];
    private int rangeCount;
    private int packed;

    /// <summary>Makes a read.</summary>
    /// <param name="onCompleted">Called when a read that did not end at once has ended.</param>
    internal RangeRead(Action<RangeRead> onCompleted) => completed = () => onCompleted(this);

    internal RangeBatch Batch { get; private set; } = null!;

    /// <summary>Place of the first item's result.</summary>
    internal int Index { get; private set; }

    /// <summary>Items.</summary>
    internal int Count { get; private set; }

    /// <summary>The namespace of the block.</summary>
    internal ushort Namespace => items[0].Namespace;

    /// <summary>The block.</summary>
    internal BlockId Id => items[0].Id;

    /// <summary>What is read, and to where.</summary>
    internal ReadOnlySpan<BlockRanges> Items => items.AsSpan(0, Count);

    /// <summary>All ranges, item by item.</summary>
    internal ReadOnlySpan<BlockRange> Ranges => ranges.AsSpan(0, rangeCount);

    /// <summary>Where the block's record was when it was looked up.</summary>
    internal LogAddress Address { get; private set; }

    /// <summary>CRC32C of the whole payload of that record.</summary>
    internal uint PayloadCrc { get; private set; }

    /// <summary>Bytes read from the device for it, those of earlier tries included.</summary>
    internal long DeviceBytes { get; set; }

    private int Length { get; set; }

    private int KeyLength { get; set; }

    /// <summary>Begins a use.</summary>
    internal void Begin(RangeBatch batch, int index)
    {
        Batch = batch;
        Index = index;
        DeviceBytes = 0;
    }

    /// <summary>Adds an item, whose result comes after those of the items before it.</summary>
    internal void Add(in BlockRanges item)
    {
        items[Count] = item;
        starts[Count++] = packed;
        ReadOnlySpan<BlockRange> more = item.Ranges.Span;
        if (rangeCount + more.Length > ranges.Length) Array.Resize(ref ranges, Math.Max(2 * ranges.Length, rangeCount + more.Length));
        more.CopyTo(ranges.AsSpan(rangeCount));
        rangeCount += more.Length;
        foreach (BlockRange range in more) packed += range.Length;
    }

    /// <summary>Notes where the block's record is.</summary>
    internal void Aim(in BlockEntry entry)
    {
        Address = entry.Address;
        PayloadCrc = entry.Crc;
        Length = entry.Length;
        KeyLength = entry.KeyLength;
    }

    /// <summary>Ends a use.</summary>
    internal void Clear()
    {
        Batch = null!;
        items.AsSpan(0, Count).Clear();
        Count = rangeCount = packed = 0;
        awaiter = default;
    }

    /// <summary>Begins to read.</summary>
    /// <returns>True when the read has ended at once; else the callback will be called.</returns>
    internal bool Start(IBlockLog log)
    {
        awaiter = log.ReadAsync(new LogRead
        {
            Address = Address,
            Id = Id,
            Length = Length,
            KeyLength = KeyLength,
            Ranges = ranges.AsMemory(0, rangeCount),
            Sink = this,
            ContinuesOnLogThread = true,
        }).ConfigureAwait(continueOnCapturedContext: true).GetAwaiter();
        if (awaiter.IsCompleted) return true;
        awaiter.UnsafeOnCompleted(completed);
        return false;
    }

    /// <summary>The outcome of a read that has ended.</summary>
    internal LogReadResult TakeResult() => awaiter.GetResult();

    /// <inheritdoc/>
    public void OnBytes(int offset, ReadOnlySpan<byte> bytes)
    {
        if (!Batch.TryEnter()) return;
        try
        {
            int item = Count - 1;
            while (starts[item] > offset) item--;
            bytes.CopyTo(items[item].Destination.Span[(offset - starts[item])..]);
        }
        finally
        {
            Batch.Exit();
        }
    }

    /// <summary>Copies the ranges from host memory, where the block has come meanwhile.</summary>
    internal void CopyFrom(ReadOnlySpan<byte> payload)
    {
        int offset = 0;
        foreach (BlockRange range in Ranges)
        {
            OnBytes(offset, payload.Slice(range.Offset, range.Length));
            offset += range.Length;
        }
    }

    /// <summary>Gives every item its result; the bytes of the device are said with the first.</summary>
    internal void Report(RangeReadResult result)
    {
        for (int i = 0; i < Count; i++)
        {
            Batch.Report(Index + i, result);
            result = result with { DeviceBytes = 0 };
        }
    }
}
