using KvTier.Client.Connections;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>Asks the owner of one group until it answers or the time is over.</summary>
internal static class OwnerCall
{
    /// <summary>Asks.</summary>
    /// <typeparam name="T">What is answered.</typeparam>
    /// <param name="ns">The namespace.</param>
    /// <param name="group">The group.</param>
    /// <param name="what">What it is about, for errors.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="ask">Asks a silo: its namespace, what it says to the cluster, and the time for it.</param>
    /// <param name="isRepeatable">True when it may be asked again although it may have been done.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async ValueTask<Result<T>> RunAsync<T>(
        KvClusterNamespace ns, BlockId group, string what, TimeSpan timeout,
        Func<KvNamespace, RouteContext, TimeSpan, ValueTask<Result<T>>> ask, Func<bool> isRepeatable, CancellationToken cancellationToken)
    {
        KvClusterClient client = ns.Client;
        client.CheckOpen();
        TimeSpan longest = timeout > TimeSpan.Zero ? timeout : client.RequestTimeout;
        long deadline = ClientClock.After(client.Time, longest);
        for (int round = 0, pauses = 0; ; round++)
        {
            RouteTable table = client.Table;
            SiloLink link = table.Links[table.Map.OwnerOf(group)];
            Result<T> answer = await AskAsync(ns, link, table, client.TryTimeout(round, deadline), ask).ConfigureAwait(false);
            if (answer.Error is not { } error) return answer;
            if (!IsPassing(error) || (MayBeDone(error) && !isRepeatable())) return answer;
            if (error.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded) link.Suspect();
            long heard = MovedError.TryRead(error, out _, out long epoch) ? epoch : 0;
            bool changed = await client.RefreshAsync(table, heard > table.Epoch ? link : null, deadline, cancellationToken)
                .ConfigureAwait(false);
            if (!changed) await client.PauseAsync(pauses++, deadline, cancellationToken).ConfigureAwait(false);
            if (ClientClock.Until(client.Time, deadline) > TimeSpan.Zero) continue;
            return new KvError(
                ErrorCode.DeadlineExceeded,
                "route",
                $"{what} not answered after {longest.TotalMilliseconds:0} ms, by epoch {client.Table.Epoch}; the last answer: {error}",
                "an owner that answers before the deadline");
        }
    }

    private static async ValueTask<Result<T>> AskAsync<T>(
        KvClusterNamespace ns, SiloLink link, RouteTable table, TimeSpan timeout,
        Func<KvNamespace, RouteContext, TimeSpan, ValueTask<Result<T>>> ask)
    {
        if (link.NamespaceOf(ns) is not { } there) return link.Left();
        try
        {
            return await ask(there, new RouteContext(table.Epoch, RouteRole.Client), timeout).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            return link.Left();
        }
    }

    private static bool IsPassing(KvError error) => error.Code is ErrorCode.Moved or ErrorCode.Fenced or ErrorCode.Unavailable
        or ErrorCode.ShuttingDown or ErrorCode.DeadlineExceeded or ErrorCode.Busy or ErrorCode.NamespaceUnknown or ErrorCode.Conflict;

    /// <summary>True for failures that leave open whether the silo has done it.</summary>
    private static bool MayBeDone(KvError error) => error.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded;
}
