using System.Globalization;
using System.Runtime.InteropServices;

namespace KvTier.Cli;

/// <summary>A process that can be told from a later one with the same number.</summary>
/// <param name="Pid">Its number.</param>
/// <param name="StartTicks">When it began, in the kernel's ticks since the machine's start.</param>
internal sealed record ProcessIdentity(int Pid, long StartTicks)
{
    private const int Sigkill = 9;
    private const int Sigterm = 15;

    /// <summary>True while it runs; one that has ended and waits for its parent does not.</summary>
    public bool IsAlive => ReadStat(Pid) is { } stat && stat.StartTicks == StartTicks && stat.State != 'Z';

    /// <summary>The process that has a number now; null when none has.</summary>
    public static ProcessIdentity? Of(int pid) => ReadStat(pid) is { } stat ? new ProcessIdentity(pid, stat.StartTicks) : null;

    /// <summary>Asks it to stop.</summary>
    public void Terminate() => Send(Sigterm);

    /// <summary>Ends it.</summary>
    public void Kill() => Send(Sigkill);

    private void Send(int signal)
    {
        if (IsAlive) Signal(Pid, signal);
    }

    private static (char State, long StartTicks)? ReadStat(int pid)
    {
        string text;
        try
        {
            text = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        // The name stands in brackets and may have spaces and brackets of its own; the state is the next field, the start the 20th.
        string[] fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        return fields.Length > 19 && long.TryParse(fields[19], NumberStyles.None, CultureInfo.InvariantCulture, out long ticks)
            ? (fields[0][0], ticks) : null;
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Signal(int pid, int signal);
}
