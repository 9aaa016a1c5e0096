namespace KvTier.Cluster;

/// <summary>Reads all keys of a cluster as they are at one revision, in pages.</summary>
internal sealed class EtcdReader(EtcdClient client, EtcdKeys keys, EtcdView view)
{
    private const int PageKeys = 2000;
    private const int Tries = 3;

    /// <summary>
    /// Reads them into the view. Moved groups are read only when the epoch is not the view's: each change of them makes a new one.
    /// </summary>
    public async ValueTask<KvError?> ReadAsync(TimeSpan deadline)
    {
        long begin = client.Time.GetTimestamp();
        KvError? error = EtcdErrors.Compacted;
        for (int i = 0; i < Tries && error == EtcdErrors.Compacted; i++) error = await TryAsync(begin, deadline);
        return error;
    }

    private async ValueTask<KvError?> TryAsync(long begin, TimeSpan deadline)
    {
        var found = new List<EtcdKeyValue>();
        ((byte[] Begin, byte[] End) before, (byte[] Begin, byte[] End) after) = keys.AllButMoved;
        var both = new EtcdTransaction
        {
            Success = [EtcdOperation.Range(before.Begin, before.End, PageKeys), EtcdOperation.Range(after.Begin, after.End, PageKeys)],
        };
        (ClusterState? known, long position) = (view.State, view.Position);
        Result<EtcdTransactionAnswer> got =
            await client.CallAsync<EtcdTransaction, EtcdTransactionAnswer>("/v3/kv/txn", both, repeatable: true, Left());
        if (!got.TryGet(out EtcdTransactionAnswer? answer, out KvError? error)) return error;
        long revision = answer.Header.Revision;
        foreach ((EtcdRangeAnswer page, byte[] end) in new[] { (answer.RangeOf(0), before.End), (answer.RangeOf(1), after.End) })
        {
            found.AddRange(page.Kvs);
            if (page.More && await ReadOnAsync(After(page), end, revision, found) is { } failed) return failed;
        }

        EtcdKeyValue? epoch = found.Find(each => each.Key.AsSpan().SequenceEqual(keys.Epoch));
        // A read is of the newest revision; that it is older than what was known before means that etcd was set up anew.
        bool wentBack = revision < position;
        bool withMoved = wentBack || known is null || epoch is null
            || !epoch.Value.AsSpan().SequenceEqual(EtcdKeys.WriteEpoch(known.Map.Epoch));
        (byte[] Begin, byte[] End) moved = keys.MovedGroups;
        if (withMoved && await ReadOnAsync(moved.Begin, moved.End, revision, found) is { } gone) return gone;
        return view.Reset(revision, found, withMoved, wentBack);

        TimeSpan Left() => deadline - client.Time.GetElapsedTime(begin);

        async ValueTask<KvError?> ReadOnAsync(byte[] from, byte[] to, long at, List<EtcdKeyValue> into)
        {
            while (true)
            {
                var range = new EtcdRangeRequest { Key = from, RangeEnd = to, Limit = PageKeys, Revision = at };
                Result<EtcdRangeAnswer> next =
                    await client.CallAsync<EtcdRangeRequest, EtcdRangeAnswer>("/v3/kv/range", range, repeatable: true, Left());
                if (!next.TryGet(out EtcdRangeAnswer? page, out KvError? failed)) return failed;
                into.AddRange(page.Kvs);
                if (!page.More || page.Kvs.Count == 0) return null;
                from = After(page);
            }
        }
    }

    /// <summary>The first key after a page.</summary>
    private static byte[] After(EtcdRangeAnswer page) => [.. page.Kvs[^1].Key, 0];
}
