using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Says where the rows of the chosen units are: in leased blocks, or in granules that are to be read.</summary>
/// <param name="engine">Where the blocks are.</param>
/// <param name="device">Blocks that are on the device.</param>
internal sealed class Planner(BlockEngine engine, DeviceTier device)
{
    /// <summary>Plans all items of a run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="mayUseDevice">True to leave rows on the device where they are.</param>
    internal void Plan(RecallRun run, bool mayUseDevice)
    {
        foreach (SequenceGrain grain in run.Grains) grain.Memory.Sources.Begin(grain.State!.Blocks.Count);
        for (int i = 0; i < run.ItemCount; i++)
        {
            ItemRun item = run[i];
            int unitTokens = item.Choice.UnitTokens;
            item.MayUseDevice = mayUseDevice && device.Serves(item.State, run.QueriesPerHead);
            for (int head = 0; head < run.KvHeads; head++)
            {
                foreach (int unit in item.Choice.Units(head))
                {
                    long first = (long)unit * unitTokens;
                    int tokens = (int)Math.Min(unitTokens, item.State.Tokens - first);
                    Add(run, i, item, head, first, tokens);
                }
            }
        }
    }

    /// <summary>Notes picks alone, for answers without rows.</summary>
    internal static void Touch(RecallRun run)
    {
        foreach (SequenceGrain grain in run.Grains) grain.Memory.Sources.Begin(grain.State!.Blocks.Count);
        for (int i = 0; i < run.ItemCount; i++)
        {
            ItemRun item = run[i];
            for (int head = 0; head < run.KvHeads; head++)
            {
                foreach (int unit in item.Choice.Units(head))
                {
                    int block = (int)((long)unit * item.Choice.UnitTokens / item.State.Layout.BlockTokens);
                    if (item.Grain.Memory.Sources.Find(block) < 0) AddSource(run, item.Grain, block);
                }
            }
        }
    }

    private void Add(RecallRun run, int itemIndex, ItemRun item, int head, long first, int tokens)
    {
        BlockLayout layout = item.State.Layout;
        int block = (int)(first / layout.BlockTokens);
        int source = FindSource(run, item, block);
        item.KvBytes += (long)tokens * layout.RowBytes * (layout.SharedRows ? 1 : 2);
        RunList<Piece> pieces = item.Pieces[head];
        ref BlockSource where = ref run.Sources[source];
        if (where.IsLeased || where.IsWhole || where.OnDevice is not null || where.Reason != MissReason.None)
        {
            AddPiece(pieces, first, tokens, source, read: -1);
            return;
        }

        int inBlock = (int)(first - ((long)block * layout.BlockTokens));
        int granuleTokens = item.State.Checks.GranuleTokens;
        while (tokens > 0)
        {
            int granule = inBlock / granuleTokens;
            int some = Math.Min(tokens, ((granule + 1) * granuleTokens) - inBlock);
            int read = FindRead(run, itemIndex, item, source, block, head, granule, pieces);
            AddPiece(pieces, first, some, source, read);
            first += some;
            inBlock += some;
            tokens -= some;
        }
    }

    /// <summary>Adds rows, to the last piece where they follow it in the same place.</summary>
    private static void AddPiece(RunList<Piece> pieces, long first, int tokens, int source, int read)
    {
        if (pieces.Count > 0)
        {
            ref Piece last = ref pieces[pieces.Count - 1];
            if (last.Source == source && last.Read == read && last.FirstToken + last.Tokens == first)
            {
                last.Tokens += tokens;
                return;
            }
        }

        ref Piece piece = ref pieces.Add();
        piece.FirstToken = first;
        piece.Tokens = tokens;
        piece.Source = source;
        piece.Read = read;
    }

    private int FindSource(RecallRun run, ItemRun item, int block)
    {
        SequenceGrain grain = item.Grain;
        int known = grain.Memory.Sources.Find(block);
        if (known >= 0) return known;
        int number = AddSource(run, grain, block);
        ref BlockSource source = ref run.Sources[number];
        SequenceBlock wanted = grain.State![block];
        if (item.MayUseDevice && device.TryUse(grain.Namespace, wanted) is { } onDevice)
        {
            source.OnDevice = onDevice;
            run.UsesDevice = true;
            return number;
        }

        MissReason reason = engine.TryLease(grain.Namespace, wanted.Id, out BlockLease lease);
        if (reason == MissReason.None) SetLease(ref source, wanted, lease);
        else if (reason != MissReason.Deadline) source.Reason = reason;
        else source.IsWhole = wanted.Checks is null;
        return number;
    }

    private static int AddSource(RecallRun run, SequenceGrain grain, int block)
    {
        int number = run.Sources.Count;
        grain.Memory.Picks.Pick(block);
        grain.Memory.Sources.Set(block, number);
        ref BlockSource source = ref run.Sources.Add();
        source.Grain = grain;
        source.Block = block;
        return number;
    }

    /// <summary>Takes a lease into a source, unless the block has other content than was appended.</summary>
    internal void SetLease(ref BlockSource source, SequenceBlock wanted, in BlockLease lease)
    {
        if (lease.PayloadCrc != wanted.PayloadCrc)
        {
            engine.Release(lease);
            source.Reason = MissReason.Deleted;
            return;
        }

        source.IsLeased = true;
        source.Lease = lease;
        source.Payload = engine.Arena.Slice(lease.Offset, lease.Length);
    }

    /// <summary>The read of a granule. Units of single tokens ask for one granule several times in a row.</summary>
    private static int FindRead(
        RecallRun run, int itemIndex, ItemRun item, int source, int block, int head, int granule, RunList<Piece> pieces)
    {
        SequenceState state = item.State;
        var key = new HotKey(state[block].Number, state.Checks.IndexOf(item.Item.Layer, head, granule));
        if (pieces.Count > 0)
        {
            ref Piece last = ref pieces[pieces.Count - 1];
            if (last.Read >= 0 && run.Reads[last.Read].Key == key) return last.Read;
        }

        BlockLayout layout = state.Layout;
        int token = granule * state.Checks.GranuleTokens;
        int number = run.Reads.Count;
        ref GranuleRead read = ref run.Reads.Add();
        read.Key = key;
        read.Source = source;
        read.Item = itemIndex;
        read.HotEntry = -1;
        read.KeyBytes = state.Checks.RowsOf(granule, state.TokensIn(block)) * layout.RowBytes;
        read.KeyOffset = (int)layout.KeyOffset(item.Item.Layer, head, token);
        read.ValueOffset = (int)layout.ValueOffset(item.Item.Layer, head, token);
        read.Bytes = layout.SharedRows ? read.KeyBytes : 2 * read.KeyBytes;
        read.Owner = item.Grain.Memory;
        return number;
    }
}
