namespace KvTier.Cli;

/// <summary>What a process of a local cluster has written to its log.</summary>
internal static class LogTail
{
    private const int Lines = 5;

    /// <summary>The lines so far; empty when there is no file yet.</summary>
    public static string[] ReadLines(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var reader = new StreamReader(file);
            return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
    }

    /// <summary>The last lines as one.</summary>
    public static string Read(string path) =>
        ReadLines(path) is { Length: > 0 } lines ? string.Join(" | ", lines.TakeLast(Lines)) : "(nothing)";
}
