using KvTier.Client.Requests;

namespace KvTier.Client;

/// <summary>
/// A sequence on a silo: an ordered chain of stored blocks with digests, which <see cref="KvNamespace.RecallAsync"/> asks by its name.
/// Thread-safe; needs no disposal, as the sequence stays until it is closed.
/// </summary>
public sealed class KvSequence
{
    private volatile SequenceDescription latest;

    internal KvSequence(KvNamespace ns, SequenceDescription description)
    {
        Namespace = ns;
        latest = description;
    }

    /// <summary>Its namespace.</summary>
    public KvNamespace Namespace { get; }

    /// <summary>Its name.</summary>
    public string Name => latest.Name;

    /// <summary>What the silo said of it last.</summary>
    public SequenceDescription Latest => latest;

    /// <summary>
    /// Appends blocks that are stored, and has their digests built. It says how many tokens <see cref="Latest"/> has, so that it is done
    /// once however often it is sent: when the outcome is not known (<see cref="ErrorCode.DeadlineExceeded"/>,
    /// <see cref="ErrorCode.Unavailable"/>), call it again with the same blocks.
    /// </summary>
    /// <param name="blocks">The blocks in order, at most <see cref="Limits.BatchBlocksMax"/>.</param>
    /// <param name="tokens">Tokens in them: all are full but the last one, which has at least one.</param>
    /// <param name="replaceLast">True when the first of them takes the place of the last block so far, which was partly filled; must be
    /// so when it was.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be appended all the same.</param>
    /// <returns>What the sequence is now; <see cref="ErrorCode.InvalidArgument"/> on <c>expectedTokens</c> when another client has
    /// appended meanwhile: <see cref="DescribeAsync"/> tells how far it is.</returns>
    public async ValueTask<Result<SequenceDescription>> AppendAsync(
        ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast = false, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        using var append = new SequenceAppendExchange(Name, blocks, tokens, replaceLast, latest.Tokens);
        return Note(await Namespace.AskAsync(append, timeout, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Makes a sequence that begins with this one's first tokens and shares its blocks and digests.</summary>
    /// <param name="newName">Name of the new one, which must not be open.</param>
    /// <param name="tokens">Tokens to keep, a whole number of blocks or all; 0 for all.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be forked all the same.</param>
    public async ValueTask<Result<KvSequence>> ForkAsync(
        string newName, long tokens = 0, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        if (KvNamespace.CheckName(newName, "newName") is { } invalid) return invalid;
        using var fork = new SequenceForkExchange(Name, newName, tokens);
        Result<SequenceDescription> answer = await Namespace.AskAsync(fork, timeout, cancellationToken).ConfigureAwait(false);
        return answer.TryGet(out SequenceDescription? made, out KvError? error) ? new KvSequence(Namespace, made) : error;
    }

    /// <summary>Has the silo forget the sequence; its blocks stay.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The sequence may be closed all the same.</param>
    /// <returns>What it was.</returns>
    public async ValueTask<Result<SequenceDescription>> CloseAsync(
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        using var close = new SequenceCloseExchange(Name);
        return await Namespace.AskAsync(close, timeout, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks the silo what it knows of the sequence.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<SequenceDescription>> DescribeAsync(
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        using var describe = new SequenceDescribeExchange(Name);
        return Note(await Namespace.AskAsync(describe, timeout, cancellationToken).ConfigureAwait(false));
    }

    private Result<SequenceDescription> Note(Result<SequenceDescription> answer)
    {
        if (answer.TryGet(out SequenceDescription? now, out _)) latest = now;
        return answer;
    }
}
