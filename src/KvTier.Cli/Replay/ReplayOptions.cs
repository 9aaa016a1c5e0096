using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>What a replay runs on.</summary>
/// <param name="Policy">Victim order of the host tier.</param>
/// <param name="HostBlocks">Most blocks in host memory.</param>
/// <param name="SsdBlocks">Blocks that the SSD tier has room for; 0 for no SSD tier.</param>
/// <param name="BlockBytes">Bytes of every block.</param>
internal sealed record ReplayOptions(string Policy, long HostBlocks, long SsdBlocks, int BlockBytes)
{
    /// <summary>A silo of this size in a folder, reached by its Unix socket.</summary>
    public SiloOptions ToSiloOptions(string folder)
    {
        long slot = (BlockBytes + 4095L) / 4096 * 4096;
        long record = ((BlockBytes + 511L) / 512 * 512) + 1024;
        return SiloOptions.Default with
        {
            Name = "replay",
            Tcp = false,
            UnixSocket = Path.Combine(folder, "s"),
            Http = new HttpOptions { Enabled = false },
            Policy = Policy,
            HostBlocks = HostBlocks,
            // Room beyond the blocks counted, for those being written and for slots lost in half-empty extents:
            // the count decides, not the bytes.
            HostBytes = Math.Max(64L << 20, (HostBlocks * slot * 5 / 4) + (64L << 20)),
            DataDirectory = SsdBlocks > 0 ? Path.Combine(folder, "data") : null,
            SsdBytes = Math.Max(512L << 20, (SsdBlocks * record) + (256L << 20)),
        };
    }
}
