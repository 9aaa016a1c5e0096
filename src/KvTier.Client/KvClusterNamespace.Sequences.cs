using KvTier.Client.Requests;
using KvTier.Client.Routing;

namespace KvTier.Client;

public sealed partial class KvClusterNamespace
{
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
        ClusterMap map = Client.Table.Map;
        (RecallQueryItem Item, int Place)[][] parts =
            [.. query.Items.Select((item, place) => (item, place))
                .GroupBy(each => map.OwnerOf(BlockGroups.OfSequence(Id, each.item.Sequence))).Select(each => each.ToArray())];
        Task<Result<RecallItemResult[]>>[] asked =
            [.. parts.Select(part => query with { Items = [.. part.Select(each => each.Item)] })
                .Select(part => RecallPartAsync(part, timeout, cancellationToken))];
        Result<RecallItemResult[]>[] answers = await Task.WhenAll(asked).ConfigureAwait(false);
        var results = new RecallItemResult[query.Items.Count];
        for (int i = 0; i < parts.Length; i++)
        {
            if (!answers[i].TryGet(out RecallItemResult[]? part, out KvError? error)) return error;
            for (int k = 0; k < part.Length; k++) results[parts[i][k].Place] = part[k];
        }

        return results;
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

    /// <summary>Asks one owner. Where another took a sequence over meanwhile, each item goes its own way.</summary>
    private async Task<Result<RecallItemResult[]>> RecallPartAsync(
        RecallQuery query, TimeSpan timeout, CancellationToken cancellationToken) =>
        await OwnerCall.RunAsync(
            this, BlockGroups.OfSequence(Id, query.Items[0].Sequence), $"recall of sequence {query.Items[0].Sequence}", timeout,
            (ns, route, span) => ns.RecallRoutedAsync(query, span, route, cancellationToken),
            () => true,
            cancellationToken).ConfigureAwait(false);
}
