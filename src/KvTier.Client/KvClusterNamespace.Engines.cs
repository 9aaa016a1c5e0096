using KvTier.Client.Routing;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvClusterNamespace
{
    /// <summary>As <see cref="KvNamespace.HelloAsync"/>; asks the silo that knows the engines of the namespace.</summary>
    public ValueTask<Result<EngineHelloResponse>> HelloAsync(
        string engine, string version, string instance, IReadOnlyDictionary<string, string> fields, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) =>
        OwnerCall.RunAsync(
            this, Home, "hello", timeout,
            (there, _, left) => there.HelloAsync(engine, version, instance, fields, left, cancellationToken),
            static () => true, cancellationToken);

    /// <summary>How many blocks of a prefix load sooner than they are computed, wherever in the cluster they are.</summary>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="terms">By what to judge; zeros for what the silos know.</param>
    /// <param name="timeout">How long each of the two questions may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<LoadableResponse>> LoadableAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, LoadableTerms terms = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        var tiers = new TierSet[ids.Length];
        Result<int> counted = await PrefixAsync(ids, groups, tiers, touch: false, timeout, cancellationToken).ConfigureAwait(false);
        if (!counted.TryGet(out int count, out KvError? error)) return error;
        ReadOnlyMemory<TierSet> found = tiers.AsMemory(0, count);
        return await OwnerCall.RunAsync(
            this, Home, "loadable", timeout,
            (there, _, left) => there.LoadableAsync(ids, terms, found, left, cancellationToken),
            static () => true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Says what routers are to be told of blocks, to the silos that own them.</summary>
    /// <param name="notes">The notes, parents before their children.</param>
    /// <param name="groups">The group of each block; empty when each is a group of its own.</param>
    /// <param name="blockTokens">Tokens of a block in the engine.</param>
    /// <param name="loraName">Name of the adapter; null for none.</param>
    /// <param name="timeout">How long each silo may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<EventNotesResponse>> NoteEventsAsync(
        IReadOnlyList<EventNote> notes, ReadOnlyMemory<BlockId> groups, int blockTokens, string? loraName = null,
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(notes);
        Client.CheckOpen();
        var parts = new Dictionary<int, (BlockId Group, List<EventNote> Notes)>();
        for (int i = 0; i < notes.Count; i++)
        {
            BlockId group = groups.IsEmpty ? notes[i].Id : groups.Span[i];
            int owner = Client.Table.Map.OwnerOf(group);
            if (!parts.TryGetValue(owner, out (BlockId Group, List<EventNote> Notes) part)) parts[owner] = part = (group, []);
            part.Notes.Add(notes[i]);
        }

        var sum = new EventNotesResponse(0, 0, Publishing: true);
        foreach ((BlockId group, List<EventNote> some) in parts.Values)
        {
            Result<EventNotesResponse> answer = await OwnerCall.RunAsync(
                this, group, "event notes", timeout,
                (there, _, left) => there.NoteEventsAsync(some, blockTokens, loraName, left, cancellationToken),
                static () => true, cancellationToken).ConfigureAwait(false);
            if (!answer.TryGet(out EventNotesResponse one, out KvError? error)) return error;
            sum = new EventNotesResponse(sum.Taken + one.Taken, sum.Dropped + one.Dropped, sum.Publishing && one.Publishing);
        }

        return sum;
    }

    private BlockId Home => BlockId.Compute(Id, "engines"u8);
}
