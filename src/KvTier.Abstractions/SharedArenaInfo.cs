namespace KvTier;

/// <summary>What a local client needs to map a silo's arena.</summary>
/// <param name="Path">File to map, such as <c>/dev/shm/kvtier-1234-host</c>.</param>
/// <param name="SizeBytes">Bytes to map.</param>
/// <param name="Nonce">A random number that also stands in the arena's first page,
/// so that a stale file is not mistaken for this one.</param>
public sealed record SharedArenaInfo(string Path, long SizeBytes, ulong Nonce);
