using KvTier.Client.Requests;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Opens a sequence, or finds it when it is open with the same digests and rotation.</summary>
    /// <param name="name">Its name: 1 to 256 bytes of UTF-8 without control characters, one of its kind in the namespace.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be opened all the same.</param>
    public async ValueTask<Result<KvSequence>> OpenSequenceAsync(
        string name, SequenceOptions? options = null, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        if (CheckName(name, "name") is { } invalid) return invalid;
        using var open = new SequenceOpenExchange(name, options ?? new SequenceOptions());
        Result<SequenceDescription> answer = await AskAsync(open, timeout, cancellationToken).ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? found, out KvError? error) ? new KvSequence(this, found) : error;
    }

    /// <summary>Finds a sequence that is open.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The sequence; <see cref="ErrorCode.InvalidArgument"/> for one that is not open.</returns>
    public async ValueTask<Result<KvSequence>> FindSequenceAsync(
        string name, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        if (CheckName(name, "name") is { } invalid) return invalid;
        using var describe = new SequenceDescribeExchange(name);
        Result<SequenceDescription> answer = await AskAsync(describe, timeout, cancellationToken).ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? found, out KvError? error) ? new KvSequence(this, found) : error;
    }

    /// <summary>The sequences of the namespace, by name.</summary>
    /// <param name="after">The name after which the list begins; empty for all.</param>
    /// <param name="max">Most sequences wanted, 1 or more.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<SequenceDescription[]>> ListSequencesAsync(
        string after = "", int max = int.MaxValue, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(after);
        ArgumentOutOfRangeException.ThrowIfLessThan(max, 1);
        var all = new List<SequenceDescription>();
        while (all.Count < max)
        {
            using var list = new SequenceListExchange(after, Math.Min(max - all.Count, Protocol.WireBounds.SequencePageMax))
            {
                Namespace = this,
            };
            if (await client.ExecuteAsync(list, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            if (list.Page.Length == 0) break;
            all.AddRange(list.Page);
            if (list.Page[^1].Name == after)
                return new KvError(ErrorCode.ProtocolViolation, "sequenceList.items", after, "names after the one that was given");
            after = list.Page[^1].Name;
        }

        return all.ToArray();
    }

    /// <summary>Sends a request about one sequence.</summary>
    internal async ValueTask<Result<SequenceDescription>> AskAsync(
        SequenceExchange exchange, TimeSpan timeout, CancellationToken cancellationToken)
    {
        exchange.Namespace = this;
        if (await client.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return exchange.Sequence!;
    }

    internal static KvError? CheckName(string name, string field)
    {
        ArgumentNullException.ThrowIfNull(name);
        int bytes = System.Text.Encoding.UTF8.GetByteCount(name);
        return bytes is >= 1 and <= Protocol.WireBounds.SequenceNameBytesMax
            ? null
            : KvError.InvalidArgument($"{field}.length", bytes, $"1 to {Protocol.WireBounds.SequenceNameBytesMax} bytes of UTF-8");
    }
}
