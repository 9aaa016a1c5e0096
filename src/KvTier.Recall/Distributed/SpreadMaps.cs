namespace KvTier.Recall;

/// <summary>Learns how the values of a spread sequence follow its keys: the parts sum up, the fit is made here and given to all parts that
/// estimate. In the sequence's turn.</summary>
internal sealed class SpreadMaps(PartCaller caller, PartBuilder builder, NamespaceId ns)
{
    /// <summary>Bytes of a message's numbers at most.</summary>
    private const int BytesMax = 32 << 20;

    /// <summary>Gives a part the maps of its sequence, which are learnt.</summary>
    /// <returns>Null, or why not.</returns>
    internal async ValueTask<KvError?> GiveAsync(SpreadItem item, int part, DigestSpec digest, Deadline deadline)
    {
        LearntMaps learnt = item.Grain.Maps.Find(maps => maps.Digest == digest)!;
        PlacedPart to = item.Places.Parts[part];
        BlockLayout layout = item.State.Layout;
        int perLayer = layout.KvHeads * layout.HeadDim * layout.HeadDim;
        foreach ((int first, int count) in Ranges(layout, perLayer))
        {
            byte[] numbers = PartMaps.ToBytes(learnt.Maps.AsSpan(first * perLayer, count * perLayer));
            var message = new PartMaps(ns, item.Item.Sequence, to.Stamp, digest, learnt.Blocks, first, count);
            Result<PartMessage> given = await caller.CallAsync(to.Silo, PartOps.Maps, message.Write(numbers), numbers, deadline);
            if (!given.IsOk) return given.Error;
        }

        return null;
    }

    /// <summary>Learns the maps of an item's sequence, unless that was done. Without an answer of all parts they do without.</summary>
    internal async ValueTask LearnAsync(SpreadItem item, DigestSpec digest, Deadline deadline)
    {
        if (item.MapBlocks == 0 || item.Grain.Maps.Exists(maps => maps.Digest == digest && maps.Blocks == item.MapBlocks)) return;
        if (await TryLearnAsync(item, digest, deadline) is not null) item.MapBlocks = 0;
    }

    private async ValueTask<KvError?> TryLearnAsync(SpreadItem item, DigestSpec digest, Deadline deadline)
    {
        int blocks = item.MapBlocks;
        BlockLayout layout = item.State.Layout;
        int square = layout.HeadDim * layout.HeadDim;
        var sums = new float[layout.Layers * layout.KvHeads * 2 * square];
        for (int part = 0; part < item.Places.Parts.Count; part++)
        {
            if (item.Places.Parts[part].Positions[0] >= blocks) continue;
            if (await AddAsync(part, item, digest, sums, deadline) is { } error) return error;
        }

        var maps = new float[sums.Length / 2];
        for (int head = 0; head < layout.Layers * layout.KvHeads; head++)
        {
            sums.AsSpan(((2 * head) + 1) * square, square).CopyTo(maps.AsSpan(head * square));
            RidgeRegression.Solve(sums.AsSpan(2 * head * square, square), maps.AsSpan(head * square, square), layout.HeadDim);
        }

        var learnt = new LearntMaps(digest, blocks, maps);
        item.Grain.Maps.RemoveAll(each => each.Digest == digest);
        item.Grain.Maps.Add(learnt);
        return null;
    }

    private async ValueTask<KvError?> AddAsync(int index, SpreadItem item, DigestSpec digest, float[] sums, Deadline deadline)
    {
        PlacedPart part = item.Places.Parts[index];
        BlockLayout layout = item.State.Layout;
        int perLayer = layout.KvHeads * 2 * layout.HeadDim * layout.HeadDim;
        foreach ((int first, int count) in Ranges(layout, perLayer))
        {
            var ask = new PartMaps(ns, item.Item.Sequence, part.Stamp, digest, item.MapBlocks, first, count);
            Result<PartMessage> result = await builder.WithPartsAsync(
                part.Silo, [(item, index)], () => caller.CallAsync(part.Silo, PartOps.Sums, ask.Write(), default, deadline), deadline);
            if (!result.TryGet(out PartMessage? reply, out KvError? error)) return error;
            var reader = new MessageReader(reply.Body.Span);
            if (unchecked((uint)reader.Int()) != Crc32C.Compute(reply.Payload.Span)
                || reply.Payload.Length != count * perLayer * sizeof(float))
                return new KvError(ErrorCode.Corrupt, "peer.payload", part.Silo, "sums of the layers asked for");
            RowMath.Add(sums.AsSpan(first * perLayer, count * perLayer), PartMaps.ToNumbers(reply.Payload.Span));
        }

        return null;
    }

    private static IEnumerable<(int First, int Count)> Ranges(BlockLayout layout, int perLayer)
    {
        int most = Math.Max(1, BytesMax / (perLayer * sizeof(float)));
        for (int first = 0; first < layout.Layers; first += most) yield return (first, Math.Min(most, layout.Layers - first));
    }
}
