using System.Runtime.CompilerServices;

namespace KvTier.Engine;

/// <summary>
/// A read of ranges of one block from the log. Used again and again, so that a read allocates nothing: it awaits the log with one callback
/// that it keeps.
/// </summary>
internal sealed class RangeRead : ILogRangeSink
{
    private readonly Action completed;
    private ConfiguredValueTaskAwaitable<LogReadResult>.ConfiguredValueTaskAwaiter awaiter;
    private BlockRanges wanted;

    /// <summary>Makes a read.</summary>
    /// <param name="onCompleted">Called when a read that did not end at once has ended.</param>
    internal RangeRead(Action<RangeRead> onCompleted) => completed = () => onCompleted(this);

    internal RangeBatch Batch { get; private set; } = null!;

    /// <summary>Place of its result.</summary>
    internal int Index { get; private set; }

    /// <summary>What is read, and to where.</summary>
    internal ref readonly BlockRanges Wanted => ref wanted;

    /// <summary>Where the block's record was when it was looked up.</summary>
    internal LogAddress Address { get; private set; }

    /// <summary>CRC32C of the whole payload of that record.</summary>
    internal uint PayloadCrc { get; private set; }

    /// <summary>Bytes read from the device for it, those of earlier tries included.</summary>
    internal long DeviceBytes { get; set; }

    private int Length { get; set; }

    private int KeyLength { get; set; }

    /// <summary>Begins a use.</summary>
    internal void Begin(RangeBatch batch, int index, in BlockRanges ranges)
    {
        Batch = batch;
        Index = index;
        wanted = ranges;
        DeviceBytes = 0;
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
        wanted = default;
        awaiter = default;
    }

    /// <summary>Begins to read.</summary>
    /// <returns>True when the read has ended at once; else the callback will be called.</returns>
    internal bool Start(IBlockLog log)
    {
        awaiter = log.ReadAsync(new LogRead
        {
            Address = Address,
            Id = wanted.Id,
            Length = Length,
            KeyLength = KeyLength,
            Ranges = wanted.Ranges,
            Sink = this,
            ContinuesOnLogThread = true,
        }).ConfigureAwait(false).GetAwaiter();
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
            bytes.CopyTo(wanted.Destination.Span[offset..]);
        }
        finally
        {
            Batch.Exit();
        }
    }

    /// <summary>Copies the ranges from host memory, where the block has come meanwhile.</summary>
    internal void CopyFrom(ReadOnlySpan<byte> payload)
    {
        int packed = 0;
        foreach (BlockRange range in wanted.Ranges.Span)
        {
            OnBytes(packed, payload.Slice(range.Offset, range.Length));
            packed += range.Length;
        }
    }
}
