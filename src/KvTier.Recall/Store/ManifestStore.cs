using System.Security.Cryptography;
using System.Text;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>
/// Keeps manifests in the log, as blocks of an internal namespace. Segments are shared and counted; a head is written after the segments
/// that it names and removed before them, so that every crash leaves whole manifests. Thread-safe.
/// </summary>
internal sealed class ManifestStore
{
    private static readonly NamespaceDescriptor descriptor =
        new("_kvtier", new ModelProfile { Name = "sequences", Kind = AttentionKind.Opaque });

    /// <summary>Longest that writing an older head back waits for room, in s.</summary>
    private const int UndoSeconds = 1;

    private readonly BlockEngine engine;
    private readonly TimeProvider time;
    private readonly ushort ns;
    private readonly Lock gate = new();
    private readonly Dictionary<BlockId, int> segmentUses = [];

    /// <summary>Registers the namespace, which must be done before the engine recovers.</summary>
    /// <exception cref="KvException">It can't be registered.</exception>
    internal ManifestStore(BlockEngine engine, TimeProvider time)
    {
        this.engine = engine;
        this.time = time;
        ns = engine.OpenNamespace(descriptor).Value;
    }

    /// <summary>True when there is a log; without one, sequences last as long as the process.</summary>
    internal bool IsDurable => engine.Stats.Log is not null;

    /// <summary>The namespace of the records, for those who register namespaces durably.</summary>
    internal static NamespaceDescriptor Descriptor => descriptor;

    /// <summary>Writes a segment unless it is there, and counts a use of it.</summary>
    /// <returns>Its id.</returns>
    internal async ValueTask<Result<BlockId>> AddSegmentAsync(ManifestBlock[] blocks, Deadline deadline)
    {
        byte[] record = ManifestFormat.WriteSegment(blocks);
        byte[] key = SegmentKey(record);
        BlockId id = BlockId.Compute(descriptor.Id, key);
        Use(id, 1);
        if (await PutAsync(id, key, record, overwrite: false, deadline) is not { } error) return id;
        Drop([id]);
        return error;
    }

    /// <summary>Counts uses of segments that are there.</summary>
    internal void Share(IEnumerable<BlockId> segments)
    {
        foreach (BlockId id in segments) Use(id, 1);
    }

    /// <summary>Ends uses of segments; those that nobody uses any more are deleted.</summary>
    internal void Drop(IEnumerable<BlockId> segments)
    {
        foreach (BlockId id in segments) Use(id, -1);
    }

    /// <summary>Writes a head and waits until it is committed. When that fails the head from before stands again.</summary>
    internal async ValueTask<KvError?> SaveAsync(SequenceManifest manifest, SequenceManifest? before, Deadline deadline)
    {
        if (!IsDurable) return null;
        KvError? error = await PutHeadAsync(manifest, deadline);
        error ??= await engine.WaitDurableAsync(engine.CurrentTicket, deadline.Remaining);
        if (error is not null) await UndoAsync(manifest, before);
        return error;
    }

    /// <summary>Removes a head and waits until that is committed. When it fails the head stands again. Segments are not dropped.</summary>
    internal async ValueTask<KvError?> DeleteAsync(SequenceManifest manifest, Deadline deadline)
    {
        if (!IsDurable) return null;
        engine.Delete(ns, HeadId(manifest.Namespace, manifest.Name));
        KvError? error = await engine.WaitDurableAsync(engine.CurrentTicket, deadline.Remaining);
        if (error is not null) await UndoAsync(manifest, manifest);
        return error;
    }

    /// <summary>Reads every manifest back. Segments that none of them names are deleted, unless a head could not be read.</summary>
    /// <returns>The manifests with all their blocks, and how many heads are damaged or name segments that are.</returns>
    internal async ValueTask<(List<(SequenceManifest Manifest, List<ManifestBlock> Blocks)> Found, int Lost)> ReadAllAsync(
        Deadline deadline)
    {
        var heads = new List<SequenceManifest>();
        var segments = new Dictionary<BlockId, ManifestBlock[]>();
        int lost = await ReadRecordsAsync(heads, segments, deadline);
        var found = new List<(SequenceManifest Manifest, List<ManifestBlock> Blocks)>();
        foreach (SequenceManifest head in heads)
        {
            if (Join(head, segments) is { } blocks) found.Add((head, blocks));
            else lost++;
        }

        foreach ((SequenceManifest head, _) in found) Share(head.Segments);
        if (lost > 0) return (found, lost);
        foreach (BlockId id in segments.Keys)
        {
            lock (gate)
            {
                if (!segmentUses.ContainsKey(id)) engine.Delete(ns, id);
            }
        }

        return (found, lost);
    }

    private static List<ManifestBlock>? Join(SequenceManifest head, Dictionary<BlockId, ManifestBlock[]> segments)
    {
        var blocks = new List<ManifestBlock>();
        foreach (BlockId id in head.Segments)
        {
            if (!segments.TryGetValue(id, out ManifestBlock[]? some) || some.Length != SequenceManifest.SegmentBlocks) return null;
            blocks.AddRange(some);
        }

        blocks.AddRange(head.Tail);
        return blocks;
    }

    private async ValueTask<int> ReadRecordsAsync(
        List<SequenceManifest> heads, Dictionary<BlockId, ManifestBlock[]> segments, Deadline deadline)
    {
        int lost = 0;
        var ids = new BlockId[256];
        long cursor = 0;
        do
        {
            cursor = engine.Scan(ns, cursor, ids, out int found);
            for (int i = 0; i < found; i++)
            {
                byte[]? record = await ReadAsync(ids[i], deadline);
                if (record is not null && ManifestFormat.ReadSegment(record) is { } blocks) segments[ids[i]] = blocks;
                else if (record is not null && ManifestFormat.ReadHead(record) is { } head) heads.Add(head);
                else lost++;
            }
        }
        while (cursor != 0);
        return lost;
    }

    private async ValueTask<byte[]?> ReadAsync(BlockId id, Deadline deadline)
    {
        LeaseResult found = await engine.LeaseAsync(ns, id, deadline.Remaining);
        if (found.Reason != MissReason.None) return null;
        byte[] record = engine.Arena.Slice(found.Lease.Offset, found.Lease.Length).ToArray();
        engine.Release(found.Lease);
        return record;
    }

    private async ValueTask<KvError?> PutHeadAsync(SequenceManifest manifest, Deadline deadline)
    {
        byte[] key = HeadKey(manifest.Namespace, manifest.Name);
        return await PutAsync(BlockId.Compute(descriptor.Id, key), key, ManifestFormat.WriteHead(manifest), overwrite: true, deadline);
    }

    /// <summary>What was not acknowledged must not come back: the state before is written over it, without waiting for the log.</summary>
    internal async ValueTask UndoAsync(SequenceManifest refused, SequenceManifest? before)
    {
        if (!IsDurable) return;
        if (before is null) engine.Delete(ns, HeadId(refused.Namespace, refused.Name));
        else _ = await PutHeadAsync(before, new Deadline(time, TimeSpan.FromSeconds(UndoSeconds)));
    }

    private async ValueTask<KvError?> PutAsync(BlockId id, byte[] key, byte[] record, bool overwrite, Deadline deadline)
    {
        if (!IsDurable) return null;
        while (true)
        {
            var put = new PutRequest { Namespace = ns, Id = id, Key = key, Length = record.Length, Overwrite = overwrite };
            if (engine.TryBeginPut(put, out PutBegin begin, out Reservation reservation))
            {
                if (begin == PutBegin.ShuttingDown) return new KvError(ErrorCode.ShuttingDown, "engine");
                if (begin == PutBegin.Present) return null;
                record.CopyTo(engine.Arena.Slice(reservation.Offset, record.Length));
                engine.Seal(reservation, Crc32C.Compute(record), out _);
                return null;
            }

            if (!await engine.WaitForRoomAsync(record.Length, deadline.Remaining))
                return new KvError(ErrorCode.HostFull, "sequence manifest", $"{record.Length} bytes");
        }
    }

    private void Use(BlockId id, int change)
    {
        lock (gate)
        {
            int uses = segmentUses.GetValueOrDefault(id) + change;
            if (uses > 0) segmentUses[id] = uses;
            else if (segmentUses.Remove(id)) engine.Delete(ns, id);
        }
    }

    private static BlockId HeadId(NamespaceId owner, string name) => BlockId.Compute(descriptor.Id, HeadKey(owner, name));

    private static byte[] HeadKey(NamespaceId owner, string name)
    {
        var text = new byte[NamespaceId.SizeBytes + Encoding.UTF8.GetByteCount(name)];
        owner.WriteTo(text);
        Encoding.UTF8.GetBytes(name, text.AsSpan(NamespaceId.SizeBytes));
        return [(byte)'h', .. SHA256.HashData(text).AsSpan(0, 16)];
    }

    private static byte[] SegmentKey(byte[] record) => [(byte)'s', .. SHA256.HashData(record).AsSpan(0, 16)];
}
