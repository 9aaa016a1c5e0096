using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Builds digests and checks from stored blocks, one leased block at a time.</summary>
/// <param name="engine">Where the blocks are.</param>
internal sealed class DigestLoader(BlockEngine engine)
{
    /// <summary>Blocks that are fetched from the log ahead of the one that is built.</summary>
    private const int Ahead = 8;

    /// <summary>Builds a block that is being appended.</summary>
    /// <param name="state">The sequence, unchanged.</param>
    /// <param name="digests">Copies of its digests, which take the block.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="block">Number of the block in the sequence.</param>
    /// <param name="tokens">Tokens in it.</param>
    /// <param name="id">The block.</param>
    /// <param name="position">Number of the block in the sequence that this is a part of.</param>
    /// <param name="field">Name of the argument, for the error.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>CRC32C of its payload and its checks.</returns>
    internal async ValueTask<Result<(uint PayloadCrc, uint[] Checks)>> AddAsync(
        SequenceState state, DigestIndex[] digests, ushort ns, int block, int tokens, BlockId id, int position, string field,
        Deadline deadline)
    {
        LeaseResult found = await engine.LeaseAsync(ns, id, deadline.Remaining);
        if (found.Reason != MissReason.None)
        {
            return found.Reason == MissReason.Deadline && deadline.IsOver
                ? deadline.Error
                : KvError.InvalidArgument(field, $"{id}: {found.Reason.Name()}", "a block that is stored");
        }

        try
        {
            if (found.Lease.Length != state.Layout.BlockBytes || found.Lease.Codec != 0)
                return KvError.InvalidArgument(field, $"{id}: {found.Lease.Length} bytes", $"{state.Layout.BlockBytes} bytes, raw");
            ReadOnlySpan<byte> payload = engine.Arena.Slice(found.Lease.Offset, found.Lease.Length).Span;
            foreach (DigestIndex index in digests) index.SetBlock(block, tokens, payload, position);
            return (found.Lease.PayloadCrc, state.Checks.Compute(payload, tokens));
        }
        finally
        {
            engine.Release(found.Lease);
        }
    }

    /// <summary>Builds what a restart left to be built. What was built stays when the deadline passes.</summary>
    /// <param name="grain">The sequence.</param>
    /// <param name="state">What it is.</param>
    /// <param name="take">Takes bytes of digests from the silo's sum, or says why not.</param>
    /// <param name="deadline">Time for it.</param>
    internal async ValueTask<KvError?> LoadAsync(
        SequenceGrain grain, SequenceState state, Func<long, KvError?> take, Deadline deadline)
    {
        var reserved = new DigestReservation(take, grain, () => state.DigestBytes);
        KvError? error = reserved.Settle() ?? await LoadAsync(grain, state, reserved, deadline);
        error ??= reserved.Settle();
        reserved.HandOver();
        return error;
    }

    private async ValueTask<KvError?> LoadAsync(SequenceGrain grain, SequenceState state, DigestReservation reserved, Deadline deadline)
    {
        for (int block = state.Loaded; block < state.Blocks.Count; block++)
        {
            if (reserved.SettleOften(block) is { } noRoom) return noRoom;
            if (block + Ahead < state.Blocks.Count) engine.Prefetch(grain.Namespace, state[block + Ahead].Id);
            LeaseResult found = await engine.LeaseAsync(grain.Namespace, state[block].Id, deadline.Remaining);
            if (found.Reason == MissReason.Deadline && deadline.IsOver) return deadline.Error;
            if (found.Reason == MissReason.ShuttingDown) return new KvError(ErrorCode.ShuttingDown, "engine");
            bool isHere = found.Reason == MissReason.None && found.Lease.PayloadCrc == state[block].PayloadCrc;
            try
            {
                if (isHere) LoadOne(state, block, engine.Arena.Slice(found.Lease.Offset, found.Lease.Length).Span);
                else LoadAbsent(state, block);
            }
            finally
            {
                if (found.Reason == MissReason.None) engine.Release(found.Lease);
            }
        }

        grain.Publish();
        return null;
    }

    private static void LoadOne(SequenceState state, int block, ReadOnlySpan<byte> payload)
    {
        int tokens = state.TokensIn(block);
        foreach (DigestIndex index in state.Digests) index.SetBlock(block, tokens, payload, state.PositionOf(block));
        state.SetLoaded(block, state.Checks.Compute(payload, tokens));
    }

    // A block that is gone still has its place: its chunks are always chosen, and named as missing.
    private static void LoadAbsent(SequenceState state, int block)
    {
        foreach (DigestIndex index in state.Digests)
            index.SetBlock(block, state.TokensIn(block), payload: [], state.PositionOf(block));
        state.SetLoaded(block, checks: null);
    }
}
