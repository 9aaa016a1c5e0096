using System.Text;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Opening, forking and closing sequences.</summary>
public sealed partial class RecallService
{
    private const int DigestsMax = 8;

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> OpenAsync(SequenceOpen open, TimeSpan deadline)
    {
        ArgumentNullException.ThrowIfNull(open);
        return GuardAsync(limit => OpenCoreAsync(open, limit), deadline);
    }

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> ForkAsync(ushort ns, string name, string newName, long tokens, TimeSpan deadline) =>
        GuardAsync(limit => ForkCoreAsync(ns, name, newName, tokens, limit), deadline);

    /// <inheritdoc/>
    public ValueTask<Result<SequenceInfo>> CloseAsync(ushort ns, string name, TimeSpan deadline) =>
        GuardAsync(limit => CloseCoreAsync(ns, name, limit), deadline);

    internal static KvError? CheckName(string field, string name)
    {
        int bytes = Encoding.UTF8.GetByteCount(name);
        return bytes is < 1 or > NameBytesMax || name.Any(char.IsControl)
            ? KvError.InvalidArgument(field, $"{bytes} bytes", $"1 to {NameBytesMax} bytes of UTF-8 without control characters")
            : null;
    }

    private static KvError? CheckOpen(ModelProfile profile, IReadOnlyList<DigestSpec> specs, RopeRotation? rotation)
    {
        if (profile.Kind == AttentionKind.Opaque)
            return KvError.InvalidArgument("namespace", profile.Name, "a profile that is not opaque");
        if (specs.Count is < 1 or > DigestsMax) return KvError.InvalidArgument("digests", specs.Count, $"1 to {DigestsMax}");
        for (int i = 0; i < specs.Count; i++)
        {
            if (specs[i].Validate(profile) is { } wrong) return wrong with { Field = $"digests[{i}].{wrong.Field["digest.".Length..]}" };
            if (specs.Take(i).Contains(specs[i])) return KvError.InvalidArgument($"digests[{i}]", specs[i].Kind, "each digest once");
        }

        if (rotation is { } given && KeyRotation.Validate(given, profile.HeadDim) is { } wrongRotation) return wrongRotation;
        return profile.Rope.PreRotation == rotation.HasValue
            ? null
            : KvError.InvalidArgument(
                "rotation", rotation.HasValue ? "given" : "not given",
                profile.Rope.PreRotation ? "given, as keys are stored before rotation" : "none, as keys are stored rotated");
    }

    private async ValueTask<Result<T>> GuardAsync<T>(Func<Deadline, ValueTask<Result<T>>> call, TimeSpan deadline)
    {
        if (!calls.TryEnter()) return new KvError(ErrorCode.ShuttingDown, "recall");
        try
        {
            return await call(new Deadline(time, deadline));
        }
        finally
        {
            calls.Leave();
        }
    }

    internal Result<NamespaceDescriptor> FindNamespace(ushort ns)
    {
        IReadOnlyList<NamespaceDescriptor> all = engine.Namespaces;
        return ns < all.Count && !all[ns].IsInternal ? all[ns] : new KvError(ErrorCode.NamespaceUnknown, "namespace", $"{ns}");
    }

    private async ValueTask<Result<SequenceInfo>> OpenCoreAsync(SequenceOpen open, Deadline deadline)
    {
        if (!FindNamespace(open.Namespace).TryGet(out NamespaceDescriptor? ns, out KvError? unknown)) return unknown;
        if (CheckName("sequence", open.Name) is { } wrongName) return wrongName;
        if (CheckOpen(ns.Profile, open.Digests, open.Rotation) is { } wrong) return wrong;
        while (true)
        {
            if (!table.FindOrAdd(open.Namespace, open.Name, out _).TryGet(out SequenceGrain? grain, out KvError? full)) return full;
            if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
            try
            {
                if (grain.IsRetired) continue;
                return grain.State is { } state ? Compare(grain, state, open) : await CreateAsync(grain, ns, open, deadline);
            }
            finally
            {
                RetireIfNotOpen(grain);
                grain.Turns.Leave();
            }
        }
    }

    private static Result<SequenceInfo> Compare(SequenceGrain grain, SequenceState state, SequenceOpen open)
    {
        if (!state.Specs.SequenceEqual(open.Digests))
            return KvError.InvalidArgument("digests", Kinds(open.Digests), $"those that it was opened with: {Kinds(state.Specs)}");
        return state.Rotation == open.Rotation
            ? grain.Info!
            : KvError.InvalidArgument("rotation", open.Rotation, $"the one that the sequence was opened with: {state.Rotation}");
    }

    internal static string Kinds(IReadOnlyList<DigestSpec> specs) =>
        string.Join(", ", specs.Select(spec => $"{spec.Kind} of {spec.ChunkTokens} in {spec.Form}"));

    private async ValueTask<Result<SequenceInfo>> CreateAsync(
        SequenceGrain grain, NamespaceDescriptor ns, SequenceOpen open, Deadline deadline)
    {
        SequenceState state = NewState(ns.Profile, [.. open.Digests], open.Rotation);
        KvError? error = await SaveAsync(grain, new SequenceChange(ManifestOf(grain, state), Before: null, 0, []), deadline);
        if (error is null) return Show(grain, state);
        state.Dispose();
        return error;
    }

    private async ValueTask<Result<SequenceInfo>> ForkCoreAsync(
        ushort ns, string name, string newName, long tokens, Deadline deadline)
    {
        if (CheckName("newName", newName) is { } wrongName) return wrongName;
        if (newName == name) return KvError.InvalidArgument("newName", newName, "another name than the sequence has");
        if (table.Find(ns, name) is not { Info: not null } source) return Unknown("sequence", name);
        while (true)
        {
            if (!table.FindOrAdd(ns, newName, out _).TryGet(out SequenceGrain? target, out KvError? full)) return full;
            (SequenceGrain first, SequenceGrain second) = source.Number < target.Number ? (source, target) : (target, source);
            if (await first.Turns.EnterAsync(deadline) is { } late)
            {
                DropIfNeverOpen(target);
                return late;
            }

            try
            {
                if (await second.Turns.EnterAsync(deadline) is { } lateToo)
                {
                    if (first == target) RetireIfNotOpen(target);
                    else DropIfNeverOpen(target);
                    return lateToo;
                }

                try
                {
                    if (target.IsRetired) continue;
                    Result<SequenceInfo> result = await ForkInTurnAsync(source, target, tokens, deadline);
                    RetireIfNotOpen(target);
                    return result;
                }
                finally
                {
                    second.Turns.Leave();
                }
            }
            finally
            {
                first.Turns.Leave();
            }
        }
    }

    private async ValueTask<Result<SequenceInfo>> ForkInTurnAsync(
        SequenceGrain source, SequenceGrain target, long tokens, Deadline deadline)
    {
        if (target.State is not null) return KvError.InvalidArgument("newName", target.Name, "a name that is free");
        if (source.State is not { } state) return Unknown("sequence", source.Name);
        if (!KeptBy(state, tokens).TryGet(out long keep, out KvError? wrong)) return wrong;
        if (await loader.LoadAsync(source, state, digestBytes.Take, deadline) is { } late) return late;
        int blocks = (int)((keep + state.Layout.BlockTokens - 1) / state.Layout.BlockTokens);
        var copy = new SequenceState(state.Layout, state.Specs, state.Rotation, state.ForkDigests(blocks));
        BlockId[] segments = [.. state.Segments.Take(SequenceManifest.SegmentsOf(blocks))];
        copy.Adopt([.. state.Blocks.Take(blocks)], keep, segments);
        long reserved = copy.DigestBytes;
        if (digestBytes.Take(reserved) is { } noRoom)
        {
            copy.Dispose();
            return noRoom;
        }

        store.Share(segments);
        KvError? error = await SaveAsync(target, new SequenceChange(ManifestOf(target, copy), Before: null, 0, copy.Blocks), deadline);
        if (error is null)
        {
            target.AccountedBytes += reserved;
            return Show(target, copy);
        }

        digestBytes.Add(-reserved);
        store.Drop(segments);
        copy.Dispose();
        return error;
    }

    /// <summary>Tokens that a fork keeps.</summary>
    internal static Result<long> KeptBy(SequenceState state, long tokens)
    {
        long keep = tokens == 0 ? state.Tokens : tokens;
        return keep < 0 || keep > state.Tokens || (keep % state.Layout.BlockTokens != 0 && keep != state.Tokens)
            ? KvError.InvalidArgument(
                "tokens", tokens, $"a multiple of {state.Layout.BlockTokens} up to {state.Tokens}, or that, or 0 for all")
            : keep;
    }

    private static SequenceChange ClosingOf(SequenceManifest manifest) =>
        new(manifest with { IsClosed = true, Segments = [], Tail = [], Tokens = 0 }, manifest, 0, []);

    private async ValueTask<Result<SequenceInfo>> CloseCoreAsync(ushort ns, string name, Deadline deadline)
    {
        if (table.Find(ns, name) is not { } grain) return Unknown("sequence", name);
        if (await grain.Turns.EnterAsync(deadline) is { } late) return late;
        try
        {
            if (grain.State is not { } state) return Unknown("sequence", name);
            SequenceInfo last = grain.Info!;
            SequenceManifest manifest = ManifestOf(grain, state);
            KvError? error = spread is null
                ? await store.DeleteAsync(manifest, deadline)
                : await spread.SaveAsync(grain, ClosingOf(manifest), deadline);
            if (error is not null) return error;
            store.Drop(state.Segments);
            state.Dispose();
            grain.Set(null);
            Account(grain);
            Retire(grain);
            return last;
        }
        finally
        {
            grain.Turns.Leave();
        }
    }

    private ValueTask<KvError?> SaveAsync(SequenceGrain grain, SequenceChange change, Deadline deadline) => spread is null
        ? store.SaveAsync(change.Manifest, change.Before, deadline)
        : spread.SaveAsync(grain, change, deadline);

    private Result<SequenceInfo> Show(SequenceGrain grain, SequenceState state)
    {
        grain.Set(state);
        Account(grain);
        return grain.Info!;
    }

    /// <summary>The grain is of no more use: who waits for it finds another one by its name. In its turn only.</summary>
    private void Retire(SequenceGrain grain)
    {
        grain.IsRetired = true;
        table.Remove(grain);
    }

    private void RetireIfNotOpen(SequenceGrain grain)
    {
        if (grain.State is null) Retire(grain);
    }

    /// <summary>Removes a grain that was added for a call which did not get its turn, unless somebody else has it.</summary>
    private void DropIfNeverOpen(SequenceGrain grain)
    {
        if (!grain.Turns.TryEnter()) return;
        RetireIfNotOpen(grain);
        grain.Turns.Leave();
    }

    /// <summary>The manifest of a sequence that is open. In its turn only.</summary>
    internal SequenceManifest ManifestOf(SequenceGrain grain, SequenceState state) => new()
    {
        Namespace = engine.Namespaces[grain.Namespace].Id,
        Name = grain.Name,
        Digests = state.Specs,
        Rotation = state.Rotation,
        Tokens = state.Tokens,
        Segments = [.. state.Segments],
        Tail = [.. state.Blocks.Skip(state.Segments.Count * SequenceManifest.SegmentBlocks).Select(AsRecord)],
        Alone = SequenceManifest.AloneOf(state.Blocks),
        Epoch = grain.Epoch,
        Version = grain.Version,
    };

    private static ManifestBlock AsRecord(SequenceBlock block) => new(block.Id, block.PayloadCrc);

    /// <summary>Brings the sum of digest bytes up to what a sequence has now. In its turn only.</summary>
    private void Account(SequenceGrain grain)
    {
        long now = grain.State?.DigestBytes ?? 0;
        digestBytes.Add(now - grain.AccountedBytes);
        grain.AccountedBytes = now;
    }
}
