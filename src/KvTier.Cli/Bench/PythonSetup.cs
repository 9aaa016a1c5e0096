namespace KvTier.Cli;

/// <summary>The Python client in a process of its own, with the silo that it and the .NET client talk to.</summary>
internal sealed class PythonSetup : IAsyncDisposable
{
    private const string Script = "python_client.py";

    /// <summary>What the script imports beside the client.</summary>
    public const string Modules = "numpy, msgpack, redis";

    /// <summary>Bytes that one row keeps in the silo: as many blocks to get as to put.</summary>
    private const int HostMiB = 1024;

    private static int count;
    private readonly SiloProcess silo;
    private readonly PythonPeer python;

    private PythonSetup(SiloProcess silo, PythonPeer python, BenchBlocks blocks, bool hasRedis)
    {
        this.silo = silo;
        this.python = python;
        Blocks = blocks;
        HasRedis = hasRedis;
    }

    /// <summary>The .NET client, over the local path too.</summary>
    public BenchBlocks Blocks { get; }

    /// <summary>True when there is a redis-server to compare with.</summary>
    public bool HasRedis { get; }

    /// <summary>Python and its libraries.</summary>
    public string Versions => python.Versions;

    /// <summary>Starts silo, Redis and Python.</summary>
    public static async Task<PythonSetup> StartAsync(BenchContext context, string interpreter)
    {
        string socket = context.Folder.File($"p{Interlocked.Increment(ref count)}");
        string[] arguments =
            ["--port", "0", "--unix-socket", socket, "--http-enabled", "false", "--host-bytes", $"{HostMiB}MiB", "--prefault"];
        SiloProcess started = await SiloProcess.StartAsync(arguments, context.Cancel);
        try
        {
            RedisProcess? redis = await context.RedisAsync();
            PythonPeer peer = await PythonPeer.StartAsync(
                Script, interpreter, PackagePath(), [$"unix:{socket}", redis?.SocketPath ?? ""], context.Cancel);
            BenchBlocks blocks = await BenchBlocks.ConnectAsync(started.Endpoints["unix"], Client.TransportMode.Local, context.Cancel);
            return new PythonSetup(started, peer, blocks, redis is not null);
        }
        catch
        {
            await started.DisposeAsync();
            throw;
        }
    }

    /// <summary>Measures with a Python that has modules, or gives rows without a figure where there is none.</summary>
    /// <param name="context">The run.</param>
    /// <param name="modules">Modules that it must have, separated by commas.</param>
    /// <param name="names">The rows asked for.</param>
    /// <param name="measure">Measures them with the interpreter.</param>
    public static async Task<IReadOnlyList<BenchRow>> WithPythonAsync(
        BenchContext context, string modules, IEnumerable<string> names, Func<string, Task<IReadOnlyList<BenchRow>>> measure) =>
        (context.Settings.Python ?? PythonPeer.Find(modules)) is { } interpreter
            ? await measure(interpreter)
            : [.. names.Select(name => BenchRow.Rate(name, 0, "requests/s", "none", null, null, $"no Python has {modules}; see --python"))];

    /// <summary>Where the package <c>kvtier</c> is: in the repository that this program was built in, else where Python finds it.</summary>
    public static Dictionary<string, string> PackagePath()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string path = Path.Combine(folder.FullName, "src", "python");
            if (Directory.Exists(Path.Combine(path, "kvtier"))) return new Dictionary<string, string> { ["PYTHONPATH"] = path };
        }

        return [];
    }

    /// <summary>Runs of the Python side a second, for a time.</summary>
    public async Task<double> RateAsync(string side, string operation, int bytes, int batch, TimeSpan time, CancellationToken cancel) =>
        (await python.RunAsync($"{side}:{operation}:{bytes}:{batch}", time, cancel)).Rate;

    /// <summary>Removes the blocks of a length, on all sides.</summary>
    public async Task EndAsync(int bytes, CancellationToken cancel)
    {
        await python.RunAsync($"kvtier:end:{bytes}:0", TimeSpan.Zero, cancel);
        if (HasRedis) await python.RunAsync($"redis:end:{bytes}:0", TimeSpan.Zero, cancel);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Blocks.DisposeAsync();
        await python.DisposeAsync();
        await silo.DisposeAsync();
    }
}
