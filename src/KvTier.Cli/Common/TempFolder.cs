namespace KvTier.Cli;

/// <summary>A folder for one run, removed with all that is in it.</summary>
internal sealed class TempFolder : IDisposable
{
    /// <summary>Makes a folder.</summary>
    /// <param name="parent">Where; null for the system's folder for temporary files. A Unix socket inside needs a short path.</param>
    public TempFolder(string? parent = null)
    {
        if (parent is not null) Directory.CreateDirectory(parent);
        Path = Directory.CreateTempSubdirectory("kvtier-").FullName;
        if (parent is null) return;
        string own = System.IO.Path.Combine(System.IO.Path.GetFullPath(parent), System.IO.Path.GetFileName(Path));
        Directory.Delete(Path);
        Directory.CreateDirectory(own);
        Path = own;
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>A path inside.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Directory.Exists(Path)) Directory.Delete(Path, recursive: true);
    }
}
