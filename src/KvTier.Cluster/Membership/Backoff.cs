namespace KvTier.Cluster;

/// <summary>
/// Pauses between attempts: each twice as long as the last one, a random half of it left off, so that silos don't come in step.
/// </summary>
internal sealed class Backoff
{
    private readonly Func<double> jitter;
    private readonly TimeSpan first;
    private readonly TimeSpan longest;
    private TimeSpan next;

    /// <summary>Begins with the first pause.</summary>
    /// <param name="jitter">Gives random numbers from 0 to 1.</param>
    /// <param name="first">The first pause at its longest.</param>
    /// <param name="longest">The longest pause.</param>
    public Backoff(Func<double> jitter, TimeSpan first, TimeSpan longest)
    {
        this.jitter = jitter;
        this.first = first;
        this.longest = longest;
        next = first;
    }

    /// <summary>The next pause.</summary>
    public TimeSpan Next()
    {
        TimeSpan pause = next * (0.5 + 0.5 * jitter());
        next = next * 2 < longest ? next * 2 : longest;
        return pause;
    }

    /// <summary>Begins with the first pause again.</summary>
    public void Reset() => next = first;
}
