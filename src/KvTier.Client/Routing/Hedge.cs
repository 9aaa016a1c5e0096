using System.Buffers;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>
/// Asks the next holders for the blocks of a get that takes long, into memory of its own: two answers never write to the caller's. It wins
/// when it has every block; a miss of it says nothing.
/// </summary>
internal sealed class Hedge
{
    /// <summary>Most bytes that are fetched a second time.</summary>
    private const long BytesMax = 64 << 20;

    private readonly KvClusterNamespace of;
    private readonly GetPart first;
    private readonly List<GetPart> parts = [];
    private readonly byte[]? scratch;

    public Hedge(KvClusterNamespace of, RouteTable table, GetPart first, ReadOnlySpan<BlockId> groups)
    {
        this.of = of;
        this.first = first;
        if (first.Bytes > BytesMax) return;
        scratch = ArrayPool<byte>.Shared.Rent((int)first.Bytes);
        Span<int> holders = stackalloc int[2];
        int offset = 0;
        for (int i = 0; i < first.Count; i++)
        {
            // The owner is being asked; who would take over from it is the next.
            if (table.Map.FindHolders(groups[first.Places[i]], holders) < 2) continue;
            GetPart part = PartOf(table.Links[holders[1]], table.Epoch);
            GetBlock block = first.Blocks[i];
            Memory<byte> room = scratch.AsMemory(offset, block.Destination.Length);
            offset += room.Length;
            part.Blocks[part.Add(i)] = block with { Destination = room };
            part.Bytes += room.Length;
        }
    }

    /// <summary>Runs beside the first get.</summary>
    /// <returns>What the first get would have returned.</returns>
    public async ValueTask<KvError?> RunAsync(Task<KvError?> running, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (parts.Sum(part => part.Count) < first.Count)
        {
            Release();
            return await running.ConfigureAwait(false);
        }

        RoutingMetrics metrics = of.Client.Metrics;
        metrics.HedgeBegun();
        Task<KvError?[]> second = Task.WhenAll(
            parts.Select(part => part.FetchAsync(of, timeout, cancellationToken).AsTask()));
        await Task.WhenAny(running, second).ConfigureAwait(false);
        bool won = !running.IsCompleted && HasAll(await second.ConfigureAwait(false));
        if (won) first.End();
        KvError? error = await running.ConfigureAwait(false);
        foreach (GetPart part in parts) part.End();
        await second.ConfigureAwait(false);

        // The first get is over, whatever became of it: now the caller's memory may be written. If its silo failed, what came counts.
        won = error is not null && HasAll(await second.ConfigureAwait(false));
        if (won) TakeOver();
        if (won && ReferenceEquals(error, Request.Cancelled)) first.Link.Suspect();
        metrics.HedgeEnded(won);
        Release();
        return won ? null : error;
    }

    private GetPart PartOf(SiloLink link, long epoch)
    {
        foreach (GetPart known in parts)
        {
            if (known.Link == link) return known;
        }

        var part = new GetPart();
        part.Begin(link, new RouteContext(epoch, RouteRole.Hedge), first.Count);
        parts.Add(part);
        return part;
    }

    private bool HasAll(KvError?[] errors)
    {
        foreach (KvError? error in errors)
        {
            if (error is not null) return false;
        }

        foreach (GetPart part in parts)
        {
            for (int i = 0; i < part.Count; i++)
            {
                if (part.Results[i].Status == BlockStatus.Miss) return false;
            }
        }

        return true;
    }

    private void TakeOver()
    {
        foreach (GetPart part in parts)
        {
            for (int i = 0; i < part.Count; i++)
            {
                int place = part.Places[i];
                BlockResult result = part.Results[i];
                first.Results[place] = result;
                if (result.IsHit) part.Blocks[i].Destination[..result.Length].CopyTo(first.Blocks[place].Destination);
            }
        }
    }

    private void Release()
    {
        if (scratch is not null) ArrayPool<byte>.Shared.Return(scratch);
        foreach (GetPart part in parts) part.Clear();
    }
}
