using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device;

/// <summary>A range as <c>score.cl</c> reads it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RangeEntry
{
    public ulong At;
    public ulong ScaleAt;
    public int FirstRow;
    public int Rows;
}

/// <summary>A tile as <c>score.cl</c> reads it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TileEntry
{
    public int FirstRow;
    public int Rows;
    public int FirstRange;
    public int FirstQuery;
}

/// <summary>One scoring in scratch: queries, ranges and the tiles cut from them, then room for the scores.</summary>
internal readonly struct ScorePlan
{
    /// <summary>Rows of a tile, lanes of its group; <c>TILE_ROWS</c> in <c>score.cl</c>.</summary>
    private const int TileRows = 64;

    private readonly long queriesAt;
    private readonly long rangesAt;
    private readonly long tilesAt;
    private readonly int tiles;

    private ScorePlan(long queriesAt, long rangesAt, long tilesAt, int tiles, int rows)
    {
        this.queriesAt = queriesAt;
        this.rangesAt = rangesAt;
        this.tilesAt = tilesAt;
        this.tiles = tiles;
        Rows = rows;
    }

    /// <summary>Rows of all ranges.</summary>
    public int Rows { get; }

    /// <summary>Lays the inputs out and fills them in.</summary>
    /// <returns>The plan; its inputs end where scratch is used up to now. Or the error that they do not fit.</returns>
    public static Result<ScorePlan> Make(Scratch scratch, in ScoreBatch batch)
    {
        long rows = batch.Rows;
        long queries = scratch.Take<float>(batch.QueryRows.Length);
        long ranges = scratch.Take<RangeEntry>(batch.Ranges.Length);
        int tilesMax = (int)Math.Min(int.MaxValue / 2, (rows / TileRows) + batch.Ranges.Length);
        long places = scratch.Take<TileEntry>(tilesMax);
        // No request of more rows than scratch has bytes can have room for its scores.
        if (rows > scratch.Buffer.Bytes) return KvError.LimitExceeded("device.scratchBytes", rows * sizeof(float), scratch.Buffer.Bytes);
        if (scratch.Overflow is { } overflow) return overflow;
        batch.QueryRows.CopyTo(scratch.Host<float>(queries, batch.QueryRows.Length));
        int count = Fill(batch.Ranges, scratch.Host<RangeEntry>(ranges, batch.Ranges.Length), scratch.Host<TileEntry>(places, tilesMax));
        return new ScorePlan(queries, ranges, places, count, (int)rows);
    }

    /// <summary>Starts the kernel, as the last one of the request or before others. With no rows there is nothing to start.</summary>
    /// <param name="session">Where.</param>
    /// <param name="batch">What <see cref="Make"/> was given.</param>
    /// <param name="scoresAt">Room for the scores in scratch.</param>
    /// <param name="isLast">True to wait for it.</param>
    public KvError? Run(DeviceSession session, in ScoreBatch batch, long scoresAt, bool isLast)
    {
        if (tiles == 0) return null;
        ReadOnlySpan<KernelArgument> arguments =
        [
            session.Memory.Buffer, session.Scratch.Buffer, queriesAt, rangesAt, tilesAt, scoresAt, batch.RowLength, batch.Queries, Rows,
        ];
        var launch = new KernelLaunch
        {
            Kernel = DeviceKernel.Score,
            Dtype = batch.Dtype,
            Groups = tiles,
            GroupSize = TileRows,
            Arguments = arguments,
            WantsToken = isLast,
        };
        return isLast ? session.Finish(launch) : session.Start(launch);
    }

    /// <summary>Cuts tiles: rows in order, a new tile when one is full or other queries begin.</summary>
    /// <returns>How many tiles.</returns>
    private static int Fill(ReadOnlySpan<RowRange> ranges, Span<RangeEntry> entries, Span<TileEntry> tiles)
    {
        int count = 0;
        int entry = 0;
        int firstRow = 0;
        TileEntry tile = default;
        foreach (RowRange range in ranges)
        {
            if (range.Rows == 0) continue;
            entries[entry] = new RangeEntry
            {
                At = (ulong)range.Offset,
                ScaleAt = range.ScaleOffset < 0 ? ulong.MaxValue : (ulong)range.ScaleOffset,
                FirstRow = firstRow,
                Rows = range.Rows,
            };
            int left = range.Rows;
            while (left > 0)
            {
                if (tile.Rows == TileRows || (tile.Rows > 0 && tile.FirstQuery != range.FirstQuery))
                {
                    tiles[count++] = tile;
                    tile = default;
                }

                if (tile.Rows == 0)
                    tile = new TileEntry { FirstRow = firstRow + range.Rows - left, FirstRange = entry, FirstQuery = range.FirstQuery };
                int taken = Math.Min(left, TileRows - tile.Rows);
                tile.Rows += taken;
                left -= taken;
            }

            firstRow += range.Rows;
            entry++;
        }

        if (tile.Rows > 0) tiles[count++] = tile;
        return count;
    }
}
