namespace KvTier.Simulation;

/// <summary>A block as a client sends it.</summary>
internal sealed record SimBlock(byte[] Key, BlockId Id, BlockId Group, byte[] Payload);

/// <summary>Blocks to store.</summary>
internal sealed record SimPut(NamespaceDescriptor Namespace, long Epoch, AckLevel Ack, IReadOnlyList<SimBlock> Blocks, TimeSpan Deadline);

/// <summary>What became of a block.</summary>
internal enum SimStatus
{
    /// <summary>It is stored, or was.</summary>
    Done,

    /// <summary>It could not be.</summary>
    Refused,

    /// <summary>Another silo's.</summary>
    Moved,
}

/// <summary>What became of a put; an error without refused blocks is about the acknowledgement.</summary>
internal sealed record SimPutReply(long Epoch, IReadOnlyList<SimStatus> Statuses, KvError? Error);

/// <summary>Blocks to read.</summary>
/// <param name="Namespace">Their namespace.</param>
/// <param name="Epoch">The client's epoch.</param>
/// <param name="Ids">The blocks.</param>
/// <param name="Groups">Their groups.</param>
/// <param name="HereOnly">True for a hedged read: what is here is served, nothing is fetched and nothing is moved.</param>
/// <param name="Deadline">Time for it.</param>
internal sealed record SimGet(
    NamespaceDescriptor Namespace, long Epoch, IReadOnlyList<BlockId> Ids, IReadOnlyList<BlockId> Groups, bool HereOnly, TimeSpan Deadline);

/// <summary>A block that was read, or why not.</summary>
internal readonly record struct SimFound(MissReason Reason, byte[]? Payload);

/// <summary>What was read.</summary>
internal sealed record SimGetReply(long Epoch, IReadOnlyList<SimFound> Found);

/// <summary>How many of the ids are there, from the first on.</summary>
internal sealed record SimPrefixReply(long Epoch, int Count, bool Moved);

/// <summary>What became of a change of a value, or of a delete of blocks.</summary>
internal sealed record SimChangeReply(long Epoch, IReadOnlyList<SimStatus> Statuses, KvError? Error);
