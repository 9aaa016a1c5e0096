using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>How values follow keys, in parts: this silo sums up for the coordinator, and takes what it has learnt.</summary>
public sealed partial class RecallService
{
    /// <summary>Sums up the first blocks of a part.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ask">Which part, and what of it.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The sums <c>[heads, 2, D, D]</c>; <see cref="ErrorCode.Conflict"/> when the part is another one.</returns>
    internal ValueTask<Result<float[]>> SumPartAsync(ushort ns, PartMaps ask, TimeSpan deadline) =>
        GuardAsync(limit => InPartAsync(ns, ask, (state, d) => SumInTurnAsync(ns, state, ask, d), limit), deadline);

    /// <summary>Takes how values follow keys.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ask">Which part, and for which layers.</param>
    /// <param name="given">The maps <c>[heads, D, D]</c>.</param>
    /// <param name="deadline">Time for it.</param>
    internal ValueTask<Result<bool>> GivePartAsync(ushort ns, PartMaps ask, float[] given, TimeSpan deadline) =>
        GuardAsync(
            limit => InPartAsync(
                ns, ask,
                (state, _) =>
                {
                    BlockLayout layout = state.Layout;
                    if (given.Length != ask.Layers * layout.KvHeads * layout.HeadDim * layout.HeadDim)
                        return new ValueTask<Result<bool>>(KvError.InvalidArgument("maps", given.Length, "maps of the layers named"));
                    ((ChunkIndex)state.Find(ask.Digest)!).Maps!.Give(ask.FirstLayer * layout.KvHeads, given, ask.Blocks);
                    return new ValueTask<Result<bool>>(true);
                },
                limit),
            deadline);

    private async ValueTask<Result<T>> InPartAsync<T>(
        ushort ns, PartMaps ask, Func<SequenceState, Deadline, ValueTask<Result<T>>> work, Deadline deadline)
    {
        var other = new KvError(ErrorCode.Conflict, "part", ask.Name);
        if (parts.Find(ns, ask.Name) is not { } grain) return other;
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        try
        {
            if (grain.State is not { } state || state.Stamp != ask.Stamp) return other;
            if (state.Find(ask.Digest) is not ChunkIndex { Maps: not null })
                return KvError.InvalidArgument("maps.digest", Kinds([ask.Digest]), "moments with value maps");
            if (ask.FirstLayer < 0 || ask.Layers < 1 || ask.FirstLayer > state.Layout.Layers - ask.Layers)
                return KvError.InvalidArgument("maps.layers", $"{ask.FirstLayer} and {ask.Layers}", $"within {state.Layout.Layers}");
            return await work(state, deadline);
        }
        finally
        {
            grain.Turns.Leave();
        }
    }

    private async ValueTask<Result<float[]>> SumInTurnAsync(ushort ns, SequenceState state, PartMaps ask, Deadline deadline)
    {
        using ChunkIndex collector = ChunkIndex.Collector(ask.Digest, state.Layout, state.Rotation);
        for (int block = 0; block < state.Blocks.Count && state.PositionOf(block) < ask.Blocks; block++)
        {
            LeaseResult found = await engine.LeaseAsync(ns, state[block].Id, deadline.Remaining);
            if (found.Reason == MissReason.Deadline && deadline.IsOver) return deadline.Error;
            bool isHere = found.Reason == MissReason.None && found.Lease.PayloadCrc == state[block].PayloadCrc;
            ReadOnlyMemory<byte> payload = isHere ? engine.Arena.Slice(found.Lease.Offset, found.Lease.Length) : default;
            collector.SetBlock(block, state.TokensIn(block), payload.Span, state.PositionOf(block));
            if (found.Reason == MissReason.None) engine.Release(found.Lease);
        }

        int heads = ask.Layers * state.Layout.KvHeads;
        int each = 2 * state.Layout.HeadDim * state.Layout.HeadDim;
        var sums = new float[heads * each];
        for (int i = 0; i < heads; i++)
            collector.Maps!.Sums((ask.FirstLayer * state.Layout.KvHeads) + i).CopyTo(sums.AsSpan(i * each));
        return sums;
    }
}
