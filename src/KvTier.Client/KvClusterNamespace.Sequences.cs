using KvTier.Client.Connections;
using KvTier.Client.Requests;
using KvTier.Client.Routing;

namespace KvTier.Client;

public sealed partial class KvClusterNamespace
{
    /// <summary>Says that the sequences of a recall have several owners by now.</summary>
    private static readonly KvError apart = new(ErrorCode.Internal, "recall");

    /// <summary>Opens a sequence on its owner, or finds it when it is open with the same digests and rotation.</summary>
    /// <param name="name">Its name: 1 to 256 bytes of UTF-8 without control characters, one of its kind in the namespace.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be opened all the same.</param>
    public async ValueTask<Result<KvClusterSequence>> OpenSequenceAsync(
        string name, SequenceOptions? options = null, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        if (KvNamespace.CheckName(name, "name") is { } invalid) return invalid;
        SequenceOptions how = options ?? new SequenceOptions();
        Result<SequenceDescription> answer = await AskAsync(name, () => new SequenceOpenExchange(name, how), timeout, cancellationToken)
            .ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? found, out KvError? error) ? new KvClusterSequence(this, found) : error;
    }

    /// <summary>Finds a sequence that is open.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The sequence; <see cref="ErrorCode.InvalidArgument"/> for one that is not open.</returns>
    public async ValueTask<Result<KvClusterSequence>> FindSequenceAsync(
        string name, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        if (KvNamespace.CheckName(name, "name") is { } invalid) return invalid;
        Result<SequenceDescription> answer = await AskAsync(name, () => new SequenceDescribeExchange(name), timeout, cancellationToken)
            .ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? found, out KvError? error) ? new KvClusterSequence(this, found) : error;
    }

    /// <summary>The sequences of the namespace on all silos, by name.</summary>
    /// <param name="after">The name after which the list begins; empty for all.</param>
    /// <param name="max">Most sequences wanted, 1 or more.</param>
    /// <param name="timeout">How long each silo may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The sequences; an error when a silo of the map did not answer, as the list would not be whole.</returns>
    public async ValueTask<Result<SequenceDescription[]>> ListSequencesAsync(
        string after = "", int max = int.MaxValue, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(after);
        ArgumentOutOfRangeException.ThrowIfLessThan(max, 1);
        Client.CheckOpen();
        Task<Result<SequenceDescription[]>>[] asked =
            [.. Client.Table.Links.Select(link => ListOnAsync(link, after, max, timeout, cancellationToken).AsTask())];
        var all = new SortedDictionary<string, SequenceDescription>(StringComparer.Ordinal);
        foreach (Result<SequenceDescription[]> answer in await Task.WhenAll(asked).ConfigureAwait(false))
        {
            if (!answer.TryGet(out SequenceDescription[]? part, out KvError? error)) return error;
            foreach (SequenceDescription sequence in part) all[sequence.Name] = sequence;
        }

        return all.Values.Take(max).ToArray();
    }

    /// <summary>
    /// Finds the chunks that queries need: each item is asked of the owner of its sequence, all owners at once. As
    /// <see cref="KvNamespace.RecallAsync"/> otherwise.
    /// </summary>
    /// <param name="query">What is asked; its memory belongs to the call until it has completed.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What each item got, in the order of the query; or the first error, then the destinations hold nothing of meaning.</returns>
    public async ValueTask<Result<RecallItemResult[]>> RecallAsync(
        RecallQuery query, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(query);
        if (query.Validate(Descriptor.Profile, takesPayload: true) is { } invalid) return invalid;
        Client.CheckOpen();
        TimeSpan longest = timeout > TimeSpan.Zero ? timeout : Client.RequestTimeout;
        return await RecallByOwnersAsync(query, ClientClock.After(Client.Time, longest), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sends a request about one sequence to its owner.</summary>
    internal async ValueTask<Result<SequenceDescription>> AskAsync(
        string name, Func<SequenceExchange> make, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using SequenceExchange exchange = make();
        return await OwnerCall.RunAsync(
            this, BlockGroups.OfSequence(Id, name), $"sequence {name}", timeout,
            (ns, route, span) =>
            {
                exchange.Route = route;
                return ns.AskAsync(exchange, span, cancellationToken);
            },
            () => exchange.IsRepeatable || exchange.Answered is null,
            cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<Result<SequenceDescription[]>> ListOnAsync(
        SiloLink link, string after, int max, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (link.NamespaceOf(this) is not { } ns) return Array.Empty<SequenceDescription>();
        try
        {
            return await ns.ListSequencesAsync(after, max, timeout, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            return link.Left();
        }
    }

    /// <summary>Asks all owners at once, each of its items.</summary>
    private async Task<Result<RecallItemResult[]>> RecallByOwnersAsync(
        RecallQuery query, long deadline, CancellationToken cancellationToken)
    {
        ClusterMap map = Client.Table.Map;
        (RecallQueryItem Item, int Place)[][] parts =
            [.. query.Items.Select((item, place) => (item, place)).GroupBy(each => OwnerOf(map, each.item)).Select(each => each.ToArray())];
        Task<Result<RecallItemResult[]>>[] asked =
            [.. parts.Select(part => query with { Items = [.. part.Select(each => each.Item)] })
                .Select(part => RecallPartAsync(part, deadline, cancellationToken))];
        Result<RecallItemResult[]>[] answers = await Task.WhenAll(asked).ConfigureAwait(false);
        var results = new RecallItemResult[query.Items.Count];
        for (int i = 0; i < parts.Length; i++)
        {
            if (!answers[i].TryGet(out RecallItemResult[]? part, out KvError? error)) return error;
            for (int k = 0; k < part.Length; k++) results[parts[i][k].Place] = part[k];
        }

        return results;
    }

    /// <summary>Asks one owner, again while the items have one; when they have several by a newer map, each goes its own way.</summary>
    private async Task<Result<RecallItemResult[]>> RecallPartAsync(RecallQuery query, long deadline, CancellationToken cancellationToken)
    {
        string first = query.Items[0].Sequence;
        TimeSpan left = ClientClock.Until(Client.Time, deadline);
        Result<RecallItemResult[]> answer = await OwnerCall.RunAsync(
            this, BlockGroups.OfSequence(Id, first), $"recall of sequence {first}", Least(left),
            async (ns, route, span) => IsOfOneOwner(query)
                ? await ns.RecallRoutedAsync(query, span, route, cancellationToken).ConfigureAwait(false)
                : apart,
            () => true,
            cancellationToken).ConfigureAwait(false);
        return ReferenceEquals(answer.Error, apart)
            ? await RecallByOwnersAsync(query, deadline, cancellationToken).ConfigureAwait(false)
            : answer;
    }

    private bool IsOfOneOwner(RecallQuery query)
    {
        ClusterMap map = Client.Table.Map;
        int owner = OwnerOf(map, query.Items[0]);
        foreach (RecallQueryItem item in query.Items)
        {
            if (OwnerOf(map, item) != owner) return false;
        }

        return true;
    }

    private int OwnerOf(ClusterMap map, RecallQueryItem item) => map.OwnerOf(BlockGroups.OfSequence(Id, item.Sequence));

    // No time at all would mean the client's default.
    private static TimeSpan Least(TimeSpan left) => left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1);
}
