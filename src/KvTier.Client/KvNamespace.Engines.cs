using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>
    /// Says how an engine makes keys and bytes, and hears in what it differs from others of the namespace. To be said after each connect
    /// and every few minutes: the silo keeps it in memory only.
    /// </summary>
    /// <param name="engine">Such as <c>vllm</c>.</param>
    /// <param name="version">Its version.</param>
    /// <param name="instance">Which one of its kind, the same after a restart.</param>
    /// <param name="fields">What has to agree, by name, such as <c>hash_algorithm</c> and <c>seed</c>.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<EngineHelloResponse>> HelloAsync(
        string engine, string version, string instance, IReadOnlyDictionary<string, string> fields, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(engine);
        ArgumentNullException.ThrowIfNull(version);
        ArgumentException.ThrowIfNullOrEmpty(instance);
        ArgumentNullException.ThrowIfNull(fields);
        using var hello = new EngineHelloExchange(engine, version, instance, fields) { Namespace = this };
        if (await client.ExecuteAsync(hello, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return hello.Report!;
    }

    /// <summary>How many blocks of a prefix load sooner than they are computed.</summary>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="terms">By what to judge; zeros for what the silo knows.</param>
    /// <param name="tiers">Where the blocks are, when all silos of a cluster were asked; null to have the silo look.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<LoadableResponse>> LoadableAsync(
        ReadOnlyMemory<BlockId> ids, LoadableTerms terms = default, ReadOnlyMemory<TierSet>? tiers = null, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        using var question = new LoadableExchange(ids, terms, tiers) { Namespace = this };
        if (await client.ExecuteAsync(question, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return question.Answer!;
    }

    /// <summary>Says what routers are to be told of blocks, before they are put or after.</summary>
    /// <param name="notes">The notes, parents before their children.</param>
    /// <param name="blockTokens">Tokens of a block in the engine.</param>
    /// <param name="loraName">Name of the adapter; null for none.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<EventNotesResponse>> NoteEventsAsync(
        IReadOnlyList<EventNote> notes, int blockTokens, string? loraName = null, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(notes);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockTokens, 1);
        using var exchange = new EventNotesExchange(blockTokens, loraName, notes) { Namespace = this };
        if (await client.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return exchange.Answer;
    }
}
