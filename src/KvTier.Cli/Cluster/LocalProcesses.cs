using System.Globalization;

namespace KvTier.Cli;

/// <summary>
/// Finds the processes of a local cluster by a mark in their environment: also one that was started by an <c>up</c> that was killed
/// before it could note it.
/// </summary>
internal static class LocalProcesses
{
    /// <summary>Name of the variable; its value is the cluster's folder.</summary>
    public const string Mark = "LOCAL_KVTIER_CLUSTER";

    /// <summary>Lists the processes of a folder that run.</summary>
    public static List<ProcessIdentity> Find(string folder)
    {
        var found = new List<ProcessIdentity>();
        string mark = $"{Mark}={folder}";
        foreach (string path in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)) continue;
            if (ProcessIdentity.Of(pid) is { IsAlive: true } process && HasMark(path, mark)) found.Add(process);
        }

        return found;
    }

    private static bool HasMark(string path, string mark)
    {
        try
        {
            return File.ReadAllText(Path.Combine(path, "environ")).Split('\0').Contains(mark, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It has ended, or is another user's.
            return false;
        }
    }
}
