namespace KvTier.Recall;

/// <summary>
/// The sequences of a silo in a cluster. A sequence is owned by the owner of <see cref="BlockGroups.OfSequence"/> of its name; its digests
/// are built, and its rows read, by the silos that own its blocks. Thread-safe.
/// </summary>
/// <remarks>Make it before the sequences are restored, and hand every call with an operation of <see cref="PartOps"/> to
/// <see cref="OnCallAsync"/>. The recall service is not owned.</remarks>
public sealed class SpreadSequences : ISequences, ISpread
{
    /// <summary>How often a call is tried when the map changes under it.</summary>
    private const int Tries = 4;

    /// <summary>How often a change waits for this silo to be allowed to make it.</summary>
    private const int FencedMost = 60;

    private static readonly TimeSpan fencedPause = TimeSpan.FromMilliseconds(50);
    private readonly RecallService recall;
    private readonly IPartPeers peers;
    private readonly PartHost host;
    private readonly PartCaller caller;
    private readonly PartBuilder builder;
    private readonly HeldManifests held;
    private readonly ManifestKeeper keeper;
    private readonly ManifestAnswers answers;
    private readonly ManifestSettling settling;
    private readonly SpreadAppend append;
    private readonly SpreadFork fork;

    /// <summary>Makes a silo's sequences those of its cluster.</summary>
    /// <param name="recall">The silo's own; made with <see cref="RecallOptions.RunsEndAtGroups"/>, not yet restored.</param>
    /// <param name="peers">The cluster.</param>
    public SpreadSequences(RecallService recall, IPartPeers peers)
    {
        this.recall = recall;
        this.peers = peers;
        host = new PartHost(recall, () => peers.Epoch);
        caller = new PartCaller(host, peers);
        builder = new PartBuilder(recall, caller, peers);
        held = new HeldManifests(recall);
        keeper = new ManifestKeeper(recall, peers, caller, held);
        answers = new ManifestAnswers(recall, peers, caller, held, keeper);
        settling = new ManifestSettling(recall, peers, caller, held);
        append = new SpreadAppend(recall, peers, caller, builder);
        fork = new SpreadFork(recall, peers, caller, builder, held, answers);
        recall.Join(this);
    }

    /// <summary>Brings blocks to this silo that others still have: takes the namespace, blocks, their groups and the time, and says how
    /// many came. Default none.</summary>
    public Func<ushort, ReadOnlyMemory<BlockId>, ReadOnlyMemory<BlockId>, TimeSpan, ValueTask<int>>? ReadThrough
    {
        get => recall.ReadThrough;
        set => recall.ReadThrough = value;
    }

    /// <summary>Opens a namespace that another silo names. Default: at the engine alone.</summary>
    public Func<NamespaceDescriptor, Result<ushort>> OpenNamespace
    {
        get => recall.OpenNamespace;
        set => recall.OpenNamespace = value;
    }

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> OpenAsync(SequenceOpen open, TimeSpan deadline)
    {
        ArgumentNullException.ThrowIfNull(open);
        return AdmittedAsync(open.Namespace, open.Name, limit => recall.OpenAsync(open, limit.Remaining), deadline);
    }

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> AppendAsync(
        ushort ns, string name, ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast, TimeSpan deadline,
        long expectedTokens = -1) => AdmittedAsync(
            ns, name, limit => recall.AppendAsync(ns, name, blocks, tokens, replaceLast, limit.Remaining, expectedTokens), deadline);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> ForkAsync(ushort ns, string name, string newName, long tokens, TimeSpan deadline) =>
        AdmittedAsync(ns, name, limit => fork.ForkAsync(ns, name, newName, tokens, limit), deadline);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> CloseAsync(ushort ns, string name, TimeSpan deadline) =>
        AdmittedAsync(ns, name, limit => CloseCoreAsync(ns, name, limit), deadline);

    /// <inheritdoc/>
    public Result<SequenceInfo> Describe(ushort ns, string name)
    {
        if (ns >= recall.Engine.Namespaces.Count) return new KvError(ErrorCode.NamespaceUnknown, "namespace", $"{ns}");
        BlockId group = BlockGroups.OfSequence(recall.Engine.Namespaces[ns].Id, name);
        return peers.Refuse(ns, group, change: false) is { } refused ? refused : recall.Describe(ns, name);
    }

    /// <summary>What is known of a sequence, after its owner has taken it over.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="deadline">Time for it.</param>
    public ValueTask<Result<SequenceInfo>> DescribeAsync(ushort ns, string name, TimeSpan deadline) => AdmittedAsync(
        ns, name, _ => new ValueTask<Result<SequenceInfo>>(recall.Describe(ns, name)), deadline, change: false);

    /// <inheritdoc/>
    /// <remarks>Those that this silo owns.</remarks>
    public IReadOnlyList<SequenceInfo> List(ushort ns, string after, int max)
    {
        var owned = new List<SequenceInfo>();
        NamespaceId id = recall.Engine.Namespaces[ns].Id;
        while (owned.Count < max)
        {
            IReadOnlyList<SequenceInfo> page = recall.List(ns, after, max);
            owned.AddRange(page.Where(info => peers.OwnerOf(BlockGroups.OfSequence(id, info.Name)) == peers.Self).Take(max - owned.Count));
            if (page.Count < max) break;
            after = page[^1].Name;
        }

        return owned;
    }

    /// <inheritdoc/>
    public ValueTask<Result<RecallAnswer>> RecallAsync(RecallRequest request, TimeSpan deadline) => recall.RecallAsync(request, deadline);

    /// <summary>Answers another silo; ends by the deadline.</summary>
    /// <param name="from">Name of the silo that asks.</param>
    /// <param name="request">What it asks; this silo's map is as new as its.</param>
    /// <param name="deadline">Time for it.</param>
    public async ValueTask<Result<PartMessage>> OnCallAsync(string from, PartMessage request, TimeSpan deadline)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Op is not (PartOps.Ask or PartOps.Put)) return await host.AnswerAsync(from, request, deadline);
        if (request.Epoch > peers.Epoch)
            return new KvError(ErrorCode.Unavailable, "epoch", $"{peers.Epoch}", $"{request.Epoch}, that of whoever asks");
        return await recall.RunAsync(
            limit => request.Op == PartOps.Ask ? OnAskAsync(request, limit) : OnPutAsync(from, request, limit), deadline);
    }

    /// <summary>Brings manifests to those who are to hold them after a change of the map.</summary>
    /// <param name="deadline">Time for all of it.</param>
    /// <returns>How many are not where they belong yet.</returns>
    public async ValueTask<int> SettleAsync(TimeSpan deadline)
    {
        var limit = new Deadline(recall.Time, deadline);
        int left = await settling.SettleClosedAsync(limit);
        foreach (SequenceGrain grain in recall.Sequences.All())
        {
            if (!await settling.SettleAsync(grain, limit)) left++;
        }

        return left;
    }

    ValueTask<KvError?> ISpread.BuildAsync(
        SequenceGrain grain, SequenceState state, Addition addition, List<SequenceBlock> added, Deadline deadline) =>
        append.BuildAsync(grain, state, addition, added, deadline);

    ValueTask<KvError?> ISpread.SaveAsync(SequenceGrain grain, SequenceChange change, Deadline deadline) =>
        keeper.SaveAsync(grain, change, deadline);

    void ISpread.NoteClosed(SequenceManifest manifest)
    {
        if (recall.HandleOf(manifest.Namespace).TryGet(out ushort ns, out _)) held.Closed.Add(ns, manifest.Name, manifest);
    }

    async ValueTask<Result<RecallAnswer>> ISpread.RecallAsync(RecallRequest request, Deadline deadline)
    {
        if (!recall.FindNamespace(request.Namespace).TryGet(out NamespaceDescriptor? ns, out KvError? unknown)) return unknown;
        if (ns.Profile.Kind == AttentionKind.Opaque)
            return KvError.InvalidArgument("namespace", ns.Profile.Name, "a profile that is not opaque");
        if (RecallChecks.Check(request, ns.Profile, recall.Options) is { } wrong) return wrong;
        for (int i = 1; ; i++)
        {
            Result<RecallAnswer> result = await RecallOnceAsync(ns, request, deadline);
            if (result.IsOk || !IsOfChange(result.Error) || i == Tries) return result;
        }
    }

    private async ValueTask<Result<RecallAnswer>> RecallOnceAsync(NamespaceDescriptor ns, RecallRequest request, Deadline deadline)
    {
        foreach (string name in request.Items.Select(item => item.Sequence).Distinct(StringComparer.Ordinal))
        {
            if (await keeper.AdmitAsync(request.Namespace, name, change: false, deadline) is { } refused) return refused;
        }

        var grains = new List<SequenceGrain>();
        for (int i = 0; i < request.Items.Count; i++)
        {
            if (recall.Sequences.Find(request.Namespace, request.Items[i].Sequence) is not { Info: not null } grain)
                return RecallService.Unknown($"items[{i}].sequence", request.Items[i].Sequence);
            if (!grains.Contains(grain)) grains.Add(grain);
        }

        grains.Sort((a, b) => a.Number.CompareTo(b.Number));
        int entered = 0;
        try
        {
            for (; entered < grains.Count; entered++)
            {
                if (await grains[entered].Turns.EnterAsync(deadline) is { } late) return late;
            }

            foreach (SequenceGrain grain in grains)
            {
                if (grain.State is null) return RecallService.Unknown("sequence", grain.Name);
                if (builder.Place(grain) is { } noPlace) return noPlace;
            }

            return await new SpreadRecall(recall, caller, builder, ns, request).RunAsync(grains, deadline);
        }
        finally
        {
            for (int i = 0; i < entered; i++) grains[i].Turns.Leave();
        }
    }

    private async ValueTask<Result<T>> AdmittedAsync<T>(
        ushort ns, string name, Func<Deadline, ValueTask<Result<T>>> call, TimeSpan deadline, bool change = true)
    {
        if (!recall.FindNamespace(ns).TryGet(out _, out KvError? unknown)) return unknown;
        if (RecallService.CheckName("sequence", name) is { } wrongName) return wrongName;
        return await recall.RunAsync(
            async limit =>
            {
                int fenced = 0;
                for (int i = 1; ; i++)
                {
                    if (await keeper.AdmitAsync(ns, name, change, limit) is { } refused)
                    {
                        if (IsOfChange(refused) && i < Tries) continue;

                        // A silo that has just become the owner may change things as soon as all others know of it.
                        if (refused.Code != ErrorCode.Fenced || fenced >= FencedMost) return refused;
                        if (!await limit.PauseAsync(fencedPause)) return refused;
                        fenced++;
                        i = 0;
                        continue;
                    }

                    Result<T> result = await call(limit);
                    if (result.IsOk || !IsOfChange(result.Error) || i == Tries) return result;
                }
            },
            deadline);
    }

    private static bool IsOfChange(KvError? error) => error is { Code: ErrorCode.Conflict, Field: "epoch" };

    private async ValueTask<Result<SequenceInfo>> CloseCoreAsync(ushort ns, string name, Deadline deadline)
    {
        IReadOnlyList<PlacedPart> parts = recall.Sequences.Find(ns, name)?.Places?.Parts ?? [];
        Result<SequenceInfo> result = await recall.CloseAsync(ns, name, deadline.Remaining);
        if (!result.IsOk) return result;
        var writer = new MessageWriter();
        writer.Namespace(recall.Engine.Namespaces[ns].Id);
        writer.Text(name);

        // A part that is not dropped is dropped when room is needed.
        foreach (PlacedPart part in parts)
            _ = await caller.CallAsync(part.Silo, PartOps.Drop, writer.Written, default, deadline.Share(0.5));
        return result;
    }

    private async ValueTask<Result<PartMessage>> OnAskAsync(PartMessage request, Deadline deadline)
    {
        if (ManifestAsk.Read(request.Body.Span) is not { } ask)
            return new KvError(ErrorCode.ProtocolViolation, "peer.body", "a question", "the record of one");
        if (!recall.HandleOf(ask.Namespace).TryGet(out ushort ns, out KvError? unknown)) return unknown;
        Result<ManifestMessage?> result = await answers.OnAskAsync(ns, ask, deadline);
        if (!result.TryGet(out ManifestMessage? message, out KvError? error) && error is not null) return error;
        return new PartMessage(request.Op, peers.Epoch, message?.Write() ?? default);
    }

    private async ValueTask<Result<PartMessage>> OnPutAsync(string from, PartMessage request, Deadline deadline)
    {
        if (ManifestMessage.Read(request.Body.Span) is not { } message)
            return new KvError(ErrorCode.ProtocolViolation, "peer.body", "a manifest", "the record of one");
        return await answers.OnPutAsync(from, request.Epoch, message, deadline) is { } error
            ? error
            : new PartMessage(request.Op, peers.Epoch, default);
    }
}
