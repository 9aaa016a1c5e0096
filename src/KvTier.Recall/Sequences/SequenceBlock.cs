namespace KvTier.Recall;

/// <summary>One block of a sequence. Forks share it.</summary>
/// <param name="Id">The block.</param>
/// <param name="Number">Tells this use of a block from every other one since start; the hot set goes by it.</param>
/// <param name="PayloadCrc">CRC32C of its payload when it was appended: other content under the same id is not this block.</param>
/// <param name="Checks">CRC32C of every granule; null when they are not known (<see cref="GranuleChecks"/>).</param>
/// <param name="IsAlone">True when it was stored outside of a prefix, so that it is a group of its own.</param>
internal readonly record struct SequenceBlock(BlockId Id, long Number, uint PayloadCrc, uint[]? Checks, bool IsAlone = false);
