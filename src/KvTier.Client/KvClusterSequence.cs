using KvTier.Client.Requests;

namespace KvTier.Client;

/// <summary>
/// A sequence of a cluster, as <see cref="KvSequence"/> is one of a silo: each request goes to the silo that owns it then. Thread-safe.
/// </summary>
public sealed class KvClusterSequence
{
    private volatile SequenceDescription latest;

    internal KvClusterSequence(KvClusterNamespace ns, SequenceDescription description)
    {
        Namespace = ns;
        latest = description;
    }

    /// <summary>Its namespace.</summary>
    public KvClusterNamespace Namespace { get; }

    /// <summary>Its name.</summary>
    public string Name => latest.Name;

    /// <summary>What its owner said of it last.</summary>
    public SequenceDescription Latest => latest;

    /// <summary>Appends blocks that are stored, as <see cref="KvSequence.AppendAsync"/>; safe to repeat with the same blocks.</summary>
    /// <param name="blocks">The blocks in order, at most <see cref="Limits.BatchBlocksMax"/>.</param>
    /// <param name="tokens">Tokens in them: all are full but the last one, which has at least one.</param>
    /// <param name="replaceLast">True when the first of them takes the place of the last block so far, which was partly filled.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be appended all the same.</param>
    /// <returns>What the sequence is now; <see cref="ErrorCode.InvalidArgument"/> on <c>expectedTokens</c> when another client has
    /// appended meanwhile.</returns>
    public async ValueTask<Result<SequenceDescription>> AppendAsync(
        ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast = false, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        long expected = latest.Tokens;
        return Note(await Namespace.AskAsync(
            Name, () => new SequenceAppendExchange(Name, blocks, tokens, replaceLast, expected), timeout, cancellationToken)
            .ConfigureAwait(false));
    }

    /// <summary>Makes a sequence that begins with this one's first tokens and shares its blocks and digests.</summary>
    /// <param name="newName">Name of the new one, which must not be open.</param>
    /// <param name="tokens">Tokens to keep, a whole number of blocks or all; 0 for all.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be forked all the same.</param>
    public async ValueTask<Result<KvClusterSequence>> ForkAsync(
        string newName, long tokens = 0, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        if (KvNamespace.CheckName(newName, "newName") is { } invalid) return invalid;
        Result<SequenceDescription> answer = await Namespace.AskAsync(
            Name, () => new SequenceForkExchange(Name, newName, tokens), timeout, cancellationToken).ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? made, out KvError? error) ? new KvClusterSequence(Namespace, made) : error;
    }

    /// <summary>Has the owner forget the sequence; its blocks stay.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be closed all the same.</param>
    /// <returns>What it was.</returns>
    public ValueTask<Result<SequenceDescription>> CloseAsync(TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        Namespace.AskAsync(Name, () => new SequenceCloseExchange(Name), timeout, cancellationToken);

    /// <summary>Asks the owner what it knows of the sequence.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<SequenceDescription>> DescribeAsync(
        TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        Note(await Namespace.AskAsync(Name, () => new SequenceDescribeExchange(Name), timeout, cancellationToken).ConfigureAwait(false));

    private Result<SequenceDescription> Note(Result<SequenceDescription> answer)
    {
        if (answer.TryGet(out SequenceDescription? now, out _)) latest = now;
        return answer;
    }
}
