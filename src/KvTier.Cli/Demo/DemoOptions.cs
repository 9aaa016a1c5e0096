using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>Size of a demo run.</summary>
/// <param name="Shape">The chats.</param>
/// <param name="HostBytes">Host memory of the silo, less than the workload so that blocks go to the log and come back.</param>
/// <param name="Profile">The model whose blocks are stored.</param>
internal sealed record DemoOptions(ChatShape Shape, long HostBytes, ModelProfile Profile)
{
    /// <summary>
    /// 16 chats of 4 turns over a system prompt of 1,024 tokens: 832 blocks of 2 MiB, 1.6 GiB, on 512 MiB of host memory.
    /// </summary>
    public static DemoOptions Default { get; } = new(new ChatShape(16, 4, 64, 12), 512L << 20, Profiles.Llama31_8B);

    /// <summary>Bytes of all distinct blocks.</summary>
    public long WorkloadBytes => Shape.DistinctBlocks * Profile.BlockBytes;

    /// <summary>The silo in a folder, reached by its Unix socket.</summary>
    public SiloOptions ToSiloOptions(string folder) => SiloOptions.Default with
    {
        Name = "demo",
        Tcp = false,
        UnixSocket = Path.Combine(folder, "s"),
        Http = new HttpOptions { Enabled = false },
        HostBytes = HostBytes,
        DataDirectory = Path.Combine(folder, "data"),
        SsdBytes = Math.Max(1L << 30, WorkloadBytes * 2),
    };
}
