namespace KvTier.Cluster;

/// <summary>Blocks of one namespace in a group.</summary>
/// <param name="Handle">Handle of the namespace.</param>
/// <param name="Descriptor">The namespace.</param>
/// <param name="Blocks">The blocks.</param>
internal sealed record GroupBlocks(ushort Handle, NamespaceDescriptor Descriptor, List<WalkedBlock> Blocks);

/// <summary>Copies whole groups to a silo: those of their blocks that it lacks.</summary>
internal sealed class GroupCopy(NodeContext node, PeerCalls calls, CopyBudget budget)
{
    private const int WalkMax = 256;

    /// <summary>Bytes at which a piece ends, unless a single block has more. Two pieces are leased at a time.</summary>
    private const long PieceBytesMax = Pushing.BytesMax / 2;

    /// <summary>Finds the blocks of groups; values of mutable namespaces are left out, they go with the map.</summary>
    public async ValueTask<List<GroupBlocks>> FindAsync(IReadOnlySet<BlockId> groups)
    {
        var found = new Dictionary<ushort, GroupBlocks>();
        var walked = new WalkedBlock[WalkMax];
        long cursor = 0;
        do
        {
            cursor = node.Store.Walk(cursor, walked, out int count);
            for (int i = 0; i < count; i++)
            {
                if (!groups.Contains(walked[i].Group) || node.NamespaceOf(walked[i].Namespace) is not { IsMutable: false } ns) continue;
                if (!found.TryGetValue(walked[i].Namespace, out GroupBlocks? blocks))
                {
                    blocks = new GroupBlocks(walked[i].Namespace, ns, []);
                    found.Add(walked[i].Namespace, blocks);
                }

                blocks.Blocks.Add(walked[i]);
            }

            await Task.Yield();
        }
        while (cursor != 0 && !node.IsStopping);
        return [.. found.Values];
    }

    /// <summary>Copies what a silo lacks of some blocks.</summary>
    /// <returns>How many it lacked; or why they are not all there now.</returns>
    public async ValueTask<Result<int>> CopyAsync(SiloEntry to, GroupBlocks blocks, NodeDeadline deadline)
    {
        int copied = 0;
        for (int start = 0; start < blocks.Blocks.Count; start += HandOverBatch.BlocksMax)
        {
            List<WalkedBlock> some = blocks.Blocks.GetRange(start, Math.Min(HandOverBatch.BlocksMax, blocks.Blocks.Count - start));
            BlockId[] ids = [.. some.Select(block => block.Id)];
            Result<Answered<bool[]>> answer =
                await calls.HaveAsync(to, node.Map, blocks.Descriptor.Id, ids, deadline.AtMost(node.Options.PeerDeadline));
            if (!answer.TryGet(out Answered<bool[]> there, out KvError? error)) return error;
            List<WalkedBlock> lacking = [.. some.Where((_, i) => !there.Value[i])];
            if (await PushAsync(to, blocks, lacking, deadline) is { } failed) return failed;
            copied += lacking.Count;
        }

        return copied;
    }

    /// <summary>Pushes in pieces. Two are on their way at a time: while one is checked and answered, the next one's bytes go.</summary>
    private async ValueTask<KvError?> PushAsync(SiloEntry to, GroupBlocks blocks, List<WalkedBlock> lacking, NodeDeadline deadline)
    {
        Task<KvError?> before = Task.FromResult<KvError?>(null);
        Task<KvError?> latest = before;
        KvError? error = null;
        for (int start = 0; start < lacking.Count && error is null;)
        {
            var ids = new List<BlockId>();
            long bytes = 0;
            while (start < lacking.Count && ids.Count < Pushing.BlocksMax
                && (ids.Count == 0 || bytes + lacking[start].Length <= PieceBytesMax))
            {
                bytes += lacking[start].Length;
                ids.Add(lacking[start++].Id);
            }

            error = await before;
            if (error is not null) break;
            await budget.TakeAsync(bytes);
            if (node.IsStopping || deadline.Left == TimeSpan.Zero) error = new KvError(ErrorCode.DeadlineExceeded, "copy", to.Name);
            else (before, latest) = (latest, PushSomeAsync(to, blocks, [.. ids], deadline).AsTask());
        }

        // Both are waited for in any case: blocks are leased while they are on their way.
        KvError? first = await before;
        KvError? last = await latest;
        return error ?? first ?? last;
    }

    private async ValueTask<KvError?> PushSomeAsync(SiloEntry to, GroupBlocks blocks, BlockId[] ids, NodeDeadline deadline)
    {
        for (int start = 0; start < ids.Length;)
        {
            ReadOnlyMemory<BlockId> asked = ids.AsMemory(start);
            using StoredBlocks read = await node.Store.ReadAsync(blocks.Handle, asked, deadline.AtMost(node.Options.PeerDeadline));
            start += read.Examined(asked.Length);
            if (read.Blocks.Count == 0) continue;
            var batch = new PushBatch(blocks.Descriptor, PushRole.HandOver, node.Map.Epoch, read.Blocks);
            Result<PushReply> reply = await calls.PushAsync(to, batch, deadline.AtMost(node.Options.PeerDeadline));
            if (!reply.TryGet(out PushReply? done, out KvError? error)) return error;
            if (done.Statuses.Contains(PushStatus.Moved))
                return new KvError(ErrorCode.Conflict, "copy", $"{to.Name} does not take the group");
            if (done.Statuses.Contains(PushStatus.Refused)) return done.Error ?? new KvError(ErrorCode.HostFull, "copy", to.Name);
        }

        return null;
    }
}
