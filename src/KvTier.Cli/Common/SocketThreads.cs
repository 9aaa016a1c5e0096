namespace KvTier.Cli;

/// <summary>How the runtime hands socket events to the silo's code.</summary>
internal static class SocketThreads
{
    private const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>
    /// Lets the threads that wait for sockets, one for each processor, run what follows an event, instead of waking a thread of the pool
    /// for it: a request then costs one wake-up less. Has an effect only before the first socket of the process; a value that is set wins.
    /// </summary>
    public static void RunInline()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null) Environment.SetEnvironmentVariable(Variable, "1");
    }
}
