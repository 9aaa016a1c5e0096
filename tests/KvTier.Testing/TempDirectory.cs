namespace KvTier.Testing;

/// <summary>A folder that is removed with everything in it.</summary>
public sealed class TempDirectory : IDisposable
{
    /// <summary>Makes a new, empty folder.</summary>
    /// <param name="parent">Where; by default the system's folder for temporary files.</param>
    public TempDirectory(string? parent = null)
    {
        FullPath = Path.Combine(parent ?? Path.GetTempPath(), $"kvtier-test-{Environment.ProcessId}-{Guid.NewGuid():n}");
        Directory.CreateDirectory(FullPath);
    }

    /// <summary>The folder.</summary>
    public string FullPath { get; }

    /// <summary>A path inside the folder.</summary>
    public string this[string name] => Path.Combine(FullPath, name);

    /// <summary>Removes the folder.</summary>
    public void Dispose()
    {
        for (int attempt = 0; Directory.Exists(FullPath); attempt++)
        {
            try
            {
                Directory.Delete(FullPath, recursive: true);
            }
            catch (IOException) when (attempt < 100)
            {
                // A process that was ended a moment ago has left a file in a folder that was just emptied.
                Thread.Sleep(50);
            }
        }
    }
}
