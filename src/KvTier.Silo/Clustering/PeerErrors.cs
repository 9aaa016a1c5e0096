namespace KvTier.Silo.Clustering;

/// <summary>Errors between silos, which name the silo that did not do what was asked.</summary>
internal static class PeerErrors
{
    /// <summary>The silo can't be reached, or the connection to it is lost.</summary>
    public static KvError Unreachable(SiloEntry to, string cause) =>
        new(ErrorCode.Unavailable, $"silo {to.Name}", $"{to.Endpoint} ({cause})", "a silo that can be reached");

    /// <summary>There was no answer in time.</summary>
    public static KvError Late(SiloEntry to, TimeSpan deadline) =>
        new(ErrorCode.DeadlineExceeded, $"silo {to.Name}", "no answer", $"one within {deadline.TotalMilliseconds:0} ms");

    /// <summary>The answer is not what it should be.</summary>
    public static KvError Wrong(SiloEntry to, KvError error) => error with { Field = $"silo {to.Name}: {error.Field}" };
}
