using System.Diagnostics;

namespace KvTier.Cli;

/// <summary>Starts processes that outlive this one: in a session of their own, writing to a file.</summary>
internal static class DetachedProcess
{
    // The shell gives way to setsid, and that to the program: the number of the process stays. Without setsid it has the shell's session.
    private const string Script = """
        log=$1; shift
        if command -v setsid >/dev/null; then exec setsid "$@" >"$log" 2>&1 </dev/null; else exec "$@" >"$log" 2>&1 </dev/null; fi
        """;

    /// <summary>Starts one.</summary>
    /// <param name="log">File for what it says.</param>
    /// <param name="folder">Folder of its cluster, and its working directory.</param>
    /// <param name="line">Program and arguments.</param>
    public static ProcessIdentity Start(string log, string folder, params IEnumerable<string> line)
    {
        string[] arguments = ["-c", Script, "sh", log, .. line];
        var start = new ProcessStartInfo("/bin/sh", arguments) { UseShellExecute = false, WorkingDirectory = folder };
        start.Environment[LocalProcesses.Mark] = folder;
        using Process process = Process.Start(start)!;
        return ProcessIdentity.Of(process.Id)
            ?? throw new CliException(ExitCodes.Fault, $"{line.First()} ended at once: {LogTail.Read(log)}");
    }
}
