namespace KvTier.Recall;

/// <summary>
/// Takes bytes of digests from the silo's sum while they are built, every few blocks, so that several builds at once can't pass the limit
/// together by more than what each builds between two looks.
/// </summary>
/// <param name="take">Takes bytes, or says why not.</param>
/// <param name="grain">The sequence whose digests grow; what it has taken before counts.</param>
/// <param name="size">Bytes of its digests as they are built now.</param>
internal sealed class DigestReservation(Func<long, KvError?> take, SequenceGrain grain, Func<long> size)
{
    /// <summary>Blocks between two looks.</summary>
    private const int Blocks = 16;

    /// <summary>Bytes taken beside those that the sequence had.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Takes what has grown, before every few blocks.</summary>
    internal KvError? SettleOften(int block) => block % Blocks == 0 ? Settle() : null;

    /// <summary>Takes what has grown.</summary>
    /// <returns>Null, or why there is no room.</returns>
    internal KvError? Settle()
    {
        long more = size() - grain.AccountedBytes - Bytes;
        if (more <= 0) return null;
        if (take(more) is { } error) return error;
        Bytes += more;
        return null;
    }

    /// <summary>The sequence has them from now on.</summary>
    internal void HandOver()
    {
        grain.AccountedBytes += Bytes;
        Bytes = 0;
    }
}
