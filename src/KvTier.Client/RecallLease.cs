using KvTier.Client.Local;
using KvTier.Protocol;

namespace KvTier.Client;

/// <summary>
/// The answer to a recall whose payload lies in the silo's shared memory, with the right to read it until a deadline. Disposing ends it.
/// </summary>
/// <remarks>After the deadline the silo may reuse the memory: bytes count only if <see cref="IsValid"/> still holds after the last of
/// them was read. While bytes are read the lease must not be disposed by another thread.</remarks>
public sealed class RecallLease : IDisposable
{
    private readonly LocalSession? session;
    private readonly RecallSlot slot;
    private readonly int place;
    private readonly int generation;

    internal RecallLease(RecallItemResult[] items)
    {
        Results = items;
        place = -1;
    }

    internal RecallLease(RecallItemResult[] items, LocalSession session, in RecallSlot slot, (int Place, int Generation) grant)
    {
        Results = items;
        this.session = session;
        this.slot = slot;
        (place, generation) = grant;
    }

    /// <summary>What each item got, in the order of the query.</summary>
    public IReadOnlyList<RecallItemResult> Items => Results;

    /// <summary>
    /// True while the lease is neither disposed nor expired and its connection stands, or when there is no payload: bytes read before
    /// now were the silo's.
    /// </summary>
    public bool IsValid => session is null || (session.IsOpen && IsLive && session.NowNs < slot.LeaseDeadlineNs);

    internal RecallItemResult[] Results { get; }

    private bool IsLive => session!.Leases.IsLive(place, generation);

    /// <summary>An item's payload in shared memory: the rows of a gather; o, then lse, of an attend; empty for ids. Check
    /// <see cref="IsValid"/> after reading.</summary>
    /// <exception cref="ObjectDisposedException">The lease has been disposed.</exception>
    public ReadOnlyMemory<byte> PayloadOf(int item)
    {
        RecallItemResult result = Items[item];
        if (session is null || result.PayloadLength == 0) return default;
        ObjectDisposedException.ThrowIf(!IsLive, this);
        return session.Slice(slot.Offset + result.PayloadOffset, result.PayloadLength);
    }

    /// <summary>Reads every byte and compares with the checks that came with the lease.</summary>
    /// <returns>True when the bytes are the silo's and the lease is still valid after the last was read.</returns>
    public bool Verify()
    {
        for (int i = 0; i < Items.Count; i++)
        {
            if (!IsValid || Crc32C.Compute(PayloadOf(i).Span) != Items[i].Check) return false;
        }

        return IsValid;
    }

    /// <summary>Gives the lease back. The silo is told soon, together with others.</summary>
    public void Dispose()
    {
        if (session is null || !session.Leases.TryEnd(place, generation, out ulong number)) return;
        session.Release(number);
        session.ReleaseMapping();
    }
}
