using System.Buffers;
using KvTier.Engine;

namespace KvTier.Silo.Resp;

/// <content>MGET, and what it may hold while it waits.</content>
internal sealed partial class RespExecutor
{
    /// <summary>What a lease counts at least, as its slot keeps memory around it from other uses.</summary>
    private const int HeldBytesMin = 4096;

    /// <summary>
    /// Leases the values in host memory at one moment, so that the answer shows no MSET half done; then sends one after the other. What
    /// all such commands hold together is bounded, or a few slow readers could keep every slot from everybody else: what does not fit
    /// is read in its turn, as values on SSD are.
    /// </summary>
    private async ValueTask MGetAsync()
    {
        int count = Count - 1;
        LeaseResult[] leases = ArrayPool<LeaseResult>.Shared.Rent(count);
        int next = 0, held = 0;
        try
        {
            lock (server.Gate) held = LeaseTogether(leases, count);
            output.ArrayHead(count);
            while (next < count)
            {
                LeaseResult result = next < held ? leases[next] : LeaseNow(next);
                if (result.Reason == MissReason.Deadline) result = await Engine.LeaseAsync(Namespace, Id(next + 1), ReadDeadline);
                long counted = next < held && leases[next].Reason == MissReason.None ? HeldBytes(leases[next]) : 0;
                next++;
                try
                {
                    if (result.Reason == MissReason.None) await ReplyAsync(result.Lease, 0, result.Lease.Length);
                    else Miss(result.Reason);
                }
                finally
                {
                    server.Held.Return(counted);
                }

                if (output.IsFull) await output.FlushAsync();
            }
        }
        finally
        {
            for (; next < held; next++)
            {
                if (leases[next].Reason != MissReason.None) continue;
                Engine.Release(leases[next].Lease);
                server.Held.Return(HeldBytes(leases[next]));
            }

            ArrayPool<LeaseResult>.Shared.Return(leases);
        }
    }

    /// <summary>Leases from the first key on, as far as the budget of all connections goes.</summary>
    /// <returns>The keys that were looked at; the others are to be read in their turn.</returns>
    private int LeaseTogether(LeaseResult[] leases, int count)
    {
        for (int i = 0; i < count; i++)
        {
            leases[i] = LeaseNow(i);
            if (leases[i].Reason != MissReason.None || server.Held.TryTake(HeldBytes(leases[i]))) continue;
            Engine.Release(leases[i].Lease);
            return i;
        }

        return count;
    }

    private LeaseResult LeaseNow(int index) => new(Engine.TryLease(Namespace, Id(index + 1), out BlockLease lease), lease);

    private static long HeldBytes(in LeaseResult result) => Math.Max(result.Lease.Length, HeldBytesMin);
}
