namespace KvTier.Engine;

/// <summary>Ranges wanted of one block.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Id">The block.</param>
/// <param name="Ranges">Ranges of its payload, in any order; those that are close are read with one call of the device.</param>
/// <param name="Destination">Takes the ranges' bytes, packed one after the other in their order; at least as long as all of them.</param>
public readonly record struct BlockRanges(ushort Namespace, BlockId Id, ReadOnlyMemory<BlockRange> Ranges, Memory<byte> Destination);

/// <summary>What became of a read of ranges.</summary>
/// <param name="Reason"><see cref="MissReason.None"/> when the bytes are in the destination, else why not; then the destination's bytes
/// mean nothing.</param>
/// <param name="Source">The tier that answered: host or SSD; none for a miss.</param>
/// <param name="DeviceBytes">Bytes read from the device for it: whole sectors, and what lies between ranges that are close; 0 from host
/// memory. What was read for neighbours in the list that are of one block is said with the first of them.</param>
/// <param name="PayloadCrc">CRC32C of the block's whole payload, which tells this content of the block from a later one
/// (<see cref="BlockEngine.Quarantine"/>).</param>
/// <param name="Error">Set instead of a reason when a range ends beyond the block.</param>
public readonly record struct RangeReadResult(
    MissReason Reason, TierSet Source, long DeviceBytes, uint PayloadCrc = 0, KvError? Error = null)
{
    /// <summary>True when the bytes are in the destination.</summary>
    public bool IsOk => Reason == MissReason.None && Error is null;
}
