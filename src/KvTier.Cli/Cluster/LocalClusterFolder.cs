using System.Text.Json;

namespace KvTier.Cli;

/// <summary>
/// The folder of a local cluster: data directories, logs, and which processes there are. One command at a time works on it.
/// </summary>
internal sealed class LocalClusterFolder : IDisposable
{
    private static readonly JsonSerializerOptions json = new(JsonSerializerDefaults.Web) { WriteIndented = true };
    private readonly FileStream locked;

    private LocalClusterFolder(string path, FileStream locked)
    {
        FullPath = path;
        this.locked = locked;
    }

    /// <summary>Where it is when nothing else is said: one for each user.</summary>
    public static string Default => Path.Combine(Path.GetTempPath(), $"kvtier-cluster-{Environment.UserName}");

    /// <summary>The folder.</summary>
    public string FullPath { get; }

    /// <summary>The socket's file of a silo.</summary>
    public string SocketOf(string silo) => Path.Combine(FullPath, silo + ".sock");

    /// <summary>The log of a process.</summary>
    public string LogOf(string process) => Path.Combine(FullPath, process + ".log");

    /// <summary>The data directory of a process.</summary>
    public string DataOf(string process) => Path.Combine(FullPath, process);

    /// <summary>Opens the folder for a command, making it when it is not there.</summary>
    /// <exception cref="CliException">Another command works on it.</exception>
    public static LocalClusterFolder Open(string path)
    {
        string full = Path.GetFullPath(path);
        const UnixFileMode Mine = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(full);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(full, Mine);
        try
        {
            string file = Path.Combine(full, "lock");
            return new LocalClusterFolder(full, new FileStream(file, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None));
        }
        catch (IOException)
        {
            throw new CliException(ExitCodes.Unavailable, $"another kvtier cluster command works on {full}; wait for its end");
        }
    }

    /// <summary>The cluster of a folder, without opening it; null when there is none.</summary>
    public static LocalCluster? Find(string path)
    {
        string file = Path.Combine(path, "cluster.json");
        try
        {
            return JsonSerializer.Deserialize<LocalCluster>(File.ReadAllText(file), json);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (JsonException e)
        {
            throw new CliException(ExitCodes.Fault, $"{file} can't be read: {e.Message}; end its processes by hand and remove {path}");
        }
    }

    /// <summary>The cluster of the folder; null when there is none.</summary>
    public LocalCluster? Find() => Find(FullPath);

    /// <summary>Notes how far the cluster has come.</summary>
    public void Save(LocalCluster cluster)
    {
        string file = Path.Combine(FullPath, "cluster.json");
        File.WriteAllText(file + ".new", JsonSerializer.Serialize(cluster, json));
        File.Move(file + ".new", file, overwrite: true);
    }

    /// <summary>Removes what the cluster left, and the folder when nothing else is in it.</summary>
    public void Remove()
    {
        if (!Directory.Exists(FullPath)) return;
        foreach (string path in Directory.GetFileSystemEntries(FullPath))
        {
            string name = Path.GetFileName(path);
            if (!IsOurs(name)) continue;
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            else File.Delete(path);
        }

        if (!Directory.EnumerateFileSystemEntries(FullPath).Any()) Directory.Delete(FullPath);
    }

    /// <inheritdoc/>
    public void Dispose() => locked.Dispose();

    private static bool IsOurs(string name) =>
        name is "etcd" or "lock" or "cluster.json" or "cluster.json.new" or "etcd.log"
        || (name.StartsWith("silo-", StringComparison.Ordinal)
            && int.TryParse(name[5..].Split('.')[0], out _) && Path.GetExtension(name) is "" or ".log" or ".sock");
}
