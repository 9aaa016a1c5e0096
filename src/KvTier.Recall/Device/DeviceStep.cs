using System.Buffers;

namespace KvTier.Recall;

/// <summary>The part of a run's attention that is computed on the device, and the blocks that go there afterwards.</summary>
/// <param name="tier">The device's blocks.</param>
/// <param name="digests">Its digests.</param>
internal sealed class DeviceStep(DeviceTier tier, DeviceDigests digests)
{
    /// <summary>Blocks and segments of digests that one run copies up at most, so that no answer waits long for the next ones' good.
    /// </summary>
    internal const int CopiesMax = 16;

    /// <summary>Attends to the rows that are on the device; parts of KV heads without any are empty.</summary>
    /// <returns>False when the device failed: the run has to be planned without it.</returns>
    internal bool TryAttend(RecallRun run)
    {
        if (!run.UsesDevice) return true;
        int groups = run.ItemCount * run.KvHeads;
        int perGroup = run.QueriesPerHead;
        int dim = run[0].State.Layout.HeadDim;
        var rows = new List<DeviceRows>();
        var counts = new int[groups];
        float[] queries = ArrayPool<float>.Shared.Rent(groups * perGroup * dim);
        for (int i = 0; i < run.ItemCount; i++)
        {
            for (int head = 0; head < run.KvHeads; head++)
            {
                int group = (i * run.KvHeads) + head;
                run.CopyQueries(run[i], head, queries.AsSpan(group * perGroup * dim, perGroup * dim));
                counts[group] = AddRows(run, run[i], head, rows);
            }
        }

        run.BeginDevice(groups * perGroup, dim);
        var batch = new DeviceAttend
        {
            Dtype = run[0].State.Layout.Dtype,
            HeadDim = dim,
            Scale = run.Scale,
            Queries = queries.AsSpan(0, groups * perGroup * dim),
            QueriesPerGroup = perGroup,
            RowCounts = counts,
            Rows = rows.ToArray(),
        };
        bool done = tier.TryAttend(batch, run.DeviceOutputs, run.DeviceLses);
        ArrayPool<float>.Shared.Return(queries);
        return done;
    }

    /// <summary>Copies digests up that are scored often, and blocks that were picked often and that the run has leases of.</summary>
    internal void MoveUp(RecallRun run)
    {
        int copies = MoveUpDigests(run);
        if (run.Request.Mode != RecallMode.Attend || copies == CopiesMax) return;
        foreach (ref BlockSource source in run.Sources.Span)
        {
            if (!source.IsLeased || !tier.Serves(source.Grain.State!, run.QueriesPerHead)) continue;
            int heat = source.Grain.Memory.Picks.HeatOf(source.Block);
            if (heat < DeviceTier.HeatMin) continue;
            SequenceBlock block = source.Grain.State![source.Block];
            if (tier.TryAdd(source.Grain.Namespace, block, source.Payload, heat, source.Grain.Memory) && ++copies == CopiesMax) return;
        }
    }

    private int MoveUpDigests(RecallRun run)
    {
        int copies = 0;
        for (int i = 0; i < run.ItemCount && copies < CopiesMax; i++)
        {
            ItemRun item = run[i];
            if (!item.ScoresAll) continue;
            int heat = item.Grain.Memory.NoteScored();
            if (heat >= DeviceTier.HeatMin) copies += digests.MoveUp(item.Digest, heat, item.Grain.Memory, CopiesMax - copies);
        }

        return copies;
    }

    private static int AddRows(RecallRun run, ItemRun item, int head, List<DeviceRows> rows)
    {
        int count = 0;
        BlockLayout layout = item.State.Layout;
        foreach (ref Piece piece in item.Pieces[head].Span)
        {
            ref BlockSource source = ref run.Sources[piece.Source];
            if (source.OnDevice is not { } block) continue;
            int token = (int)(piece.FirstToken - ((long)source.Block * layout.BlockTokens));
            rows.Add(new DeviceRows(
                block.Place.Offset + layout.KeyOffset(item.Item.Layer, head, token),
                block.Place.Offset + layout.ValueOffset(item.Item.Layer, head, token), piece.Tokens));
            count++;
        }

        return count;
    }
}
