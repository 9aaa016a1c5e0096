using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Recall;

namespace KvTier.Silo.Sequences;

/// <summary>
/// The sequences of a silo in its cluster: owned by one silo in each epoch, recalled where their blocks lie. Takes the place of the recall
/// service for the listeners, and answers other silos' operations from <see cref="PeerOps.Sequences"/> on.
/// </summary>
/// <remarks>Make it before the sequences are restored and before the membership starts; dispose it before both.</remarks>
internal sealed class ClusterSequences : ISequences, IPeerHandler, IAsyncDisposable
{
    /// <summary>Longest that one round of bringing manifests to their holders takes.</summary>
    private static readonly TimeSpan settleDeadline = TimeSpan.FromSeconds(30);

    /// <summary>From a round that left something undone to the next one.</summary>
    private static readonly TimeSpan settlePause = TimeSpan.FromSeconds(1);

    private readonly SpreadSequences sequences;
    private readonly SequencePeers peers;
    private readonly ClusterNode node;
    private readonly TimeProvider time;
    private readonly SemaphoreSlim changed = new(0, 1);
    private readonly CancellationTokenSource stop = new();
    private Task settling = Task.CompletedTask;

    /// <summary>Makes it.</summary>
    /// <param name="recall">The silo's recall service, with <see cref="RecallOptions.RunsEndAtGroups"/>.</param>
    /// <param name="engine">Its store.</param>
    /// <param name="membership">Its membership, not yet started.</param>
    /// <param name="node">Its part in the cluster.</param>
    /// <param name="wire">The way to the others.</param>
    /// <param name="openNamespace">Registers a namespace that another silo names.</param>
    /// <param name="time">The clock.</param>
    public ClusterSequences(
        RecallService recall, BlockEngine engine, IMembership membership, ClusterNode node, IPeers wire,
        Func<NamespaceDescriptor, Result<ushort>> openNamespace, TimeProvider time)
    {
        this.node = node;
        this.time = time;
        peers = new SequencePeers(engine, membership, node, wire);
        sequences = new SpreadSequences(recall, peers)
        {
            ReadThrough = node.ReadThroughAsync,
            OpenNamespace = openNamespace,
        };
        membership.OnMap += OnMap;
    }

    /// <summary>Starts to bring manifests to those who are to hold them, after each change of the map.</summary>
    public void Start() => settling = SettleAsync();

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> OpenAsync(SequenceOpen open, TimeSpan deadline) => sequences.OpenAsync(open, deadline);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> AppendAsync(
        ushort ns, string name, ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast, TimeSpan deadline,
        long expectedTokens = -1) => sequences.AppendAsync(ns, name, blocks, tokens, replaceLast, deadline, expectedTokens);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> ForkAsync(ushort ns, string name, string newName, long tokens, TimeSpan deadline) =>
        sequences.ForkAsync(ns, name, newName, tokens, deadline);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> CloseAsync(ushort ns, string name, TimeSpan deadline) =>
        sequences.CloseAsync(ns, name, deadline);

    /// <inheritdoc/>
    public Result<SequenceInfo> Describe(ushort ns, string name) => sequences.Describe(ns, name);

    /// <summary>What is known of a sequence, after this silo has taken it over.</summary>
    public ValueTask<Result<SequenceInfo>> DescribeAsync(ushort ns, string name, TimeSpan deadline) =>
        sequences.DescribeAsync(ns, name, deadline);

    /// <inheritdoc/>
    public IReadOnlyList<SequenceInfo> List(ushort ns, string after, int max) => sequences.List(ns, after, max);

    /// <inheritdoc/>
    public ValueTask<Result<RecallAnswer>> RecallAsync(RecallRequest request, TimeSpan deadline) =>
        sequences.RecallAsync(request, deadline);

    /// <inheritdoc/>
    public async ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline)
    {
        // Whoever owns by an older map must know of the newer one before it answers for what it has.
        await node.CatchUpAsync(request.Epoch);
        if (!SequenceFrames.Unwrap(request).TryGet(out PartMessage? message, out KvError? error)) return error;

        // The connection has given this thread for it: a part may work on it for long before it waits for something.
        Result<PartMessage> result = await sequences.OnCallAsync(from, message, deadline);
        return result.TryGet(out PartMessage? answer, out error) ? SequenceFrames.Wrap(answer) : error;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await settling;
        stop.Dispose();
        changed.Dispose();
    }

    private void OnMap(ClusterMap before, ClusterMap after)
    {
        peers.NoteMap(before);
        if (changed.CurrentCount == 0) changed.Release();
    }

    private async Task SettleAsync()
    {
        try
        {
            while (true)
            {
                await changed.WaitAsync(stop.Token);
                while (await sequences.SettleAsync(settleDeadline) > 0) await Task.Delay(settlePause, time, stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // It is stopped.
        }
    }
}
