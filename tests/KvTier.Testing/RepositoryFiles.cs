namespace KvTier.Testing;

/// <summary>Files of the repository that tests read: golden vectors, project files, contracts.</summary>
public static class RepositoryFiles
{
    /// <summary>The repository's top folder, found from where the test runs.</summary>
    /// <exception cref="DirectoryNotFoundException">The test does not run inside the repository.</exception>
    public static string Root { get; } = FindRoot();

    /// <summary>A path in the repository.</summary>
    public static string PathOf(params ReadOnlySpan<string> parts) => Path.Combine([Root, .. parts]);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "KvTier.sln"))) return folder.FullName;
        }

        throw new DirectoryNotFoundException($"no KvTier.sln above {AppContext.BaseDirectory}");
    }
}
