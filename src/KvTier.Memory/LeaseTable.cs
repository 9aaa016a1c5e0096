namespace KvTier.Memory;

/// <summary>
/// Leases by number: each bound to an owner (a connection) and a deadline, and standing for one target of type <typeparamref name="T"/>.
/// Not thread-safe.
/// </summary>
/// <typeparam name="T">What is leased.</typeparam>
public sealed class LeaseTable<T>
    where T : struct
{
    /// <summary>Leases now.</summary>
    public int Count => throw new NotImplementedException();

    /// <summary>Grants a lease.</summary>
    /// <param name="owner">The connection that holds it.</param>
    /// <param name="target">What is leased.</param>
    /// <param name="deadline">Monotonic time at which it expires, in the caller's unit.</param>
    /// <returns>The lease's number, never 0 and never the number of an earlier lease.</returns>
    public ulong Grant(int owner, T target, long deadline) => throw new NotImplementedException();

    /// <summary>Looks a lease up without ending it.</summary>
    /// <returns>False when the number is unknown or belongs to another owner.</returns>
    public bool TryGet(ulong lease, int owner, out T target, out long deadline) => throw new NotImplementedException();

    /// <summary>Ends a lease.</summary>
    /// <returns>False when the number is unknown or belongs to another owner.</returns>
    public bool TryEnd(ulong lease, int owner, out T target) => throw new NotImplementedException();

    /// <summary>Ends one lease of an owner that has gone.</summary>
    /// <returns>False when the owner holds none.</returns>
    public bool TryEndAnyOf(int owner, out T target) => throw new NotImplementedException();

    /// <summary>Ends one lease whose deadline has passed, earliest first.</summary>
    /// <returns>False when none has.</returns>
    public bool TryEndExpired(long now, out T target, out int owner) => throw new NotImplementedException();
}
