using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>One item of a request on its way. Made once and used again.</summary>
internal sealed class ItemRun
{
    private Selection? own;
    private PartChoice? given;

    /// <summary>What was asked.</summary>
    internal RecallItem Item { get; private set; } = null!;

    /// <summary>Its sequence, whose turn the run has.</summary>
    internal SequenceGrain Grain { get; private set; } = null!;

    /// <summary>The sequence's state.</summary>
    internal SequenceState State { get; private set; } = null!;

    /// <summary>The digests that are scored.</summary>
    internal DigestIndex Digest { get; private set; } = null!;

    /// <summary>The choice: new, or an earlier one.</summary>
    internal Selection Choice { get; private set; } = null!;

    /// <summary>True when an earlier choice serves.</summary>
    internal bool IsReused { get; private set; }

    /// <summary>True when all digests of the layer were scored, so that a copy of them on the device is of use.</summary>
    internal bool ScoresAll { get; private set; }

    /// <summary>True when rows on the device may stay there.</summary>
    internal bool MayUseDevice { get; set; }

    /// <summary>True when the choice was made by somebody else.</summary>
    internal bool IsGiven { get; private set; }

    /// <summary>Scores of each KV head for the estimate beside a given choice; empty for none.</summary>
    internal ArraySegment<ScoreTable> Scores { get; set; } = ArraySegment<ScoreTable>.Empty;

    /// <summary>True when units are to be scored or estimated: no earlier choice serves, nor is one given that needs no estimate.</summary>
    internal bool HasToChoose => !IsReused && (!IsGiven || Scores.Count > 0);

    /// <summary>Units of its sequence.</summary>
    internal int UnitCount => (int)((State.Tokens + Digest.UnitTokens - 1) / Digest.UnitTokens);

    /// <summary>Rows to read, by KV head.</summary>
    internal RunList<Piece>[] Pieces { get; private set; } = [];

    /// <summary>Attention, by KV head.</summary>
    internal AttentionPart[] Parts { get; private set; } = [];

    /// <summary>Slots of the caller <c>[Hkv, slots]</c>; empty when it has none.</summary>
    internal int[] Slots { get; set; } = [];

    /// <summary>Units sent, one KV head after the other.</summary>
    internal List<int> Sent { get; } = [];

    /// <summary>How many of each KV head.</summary>
    internal int[] SentCounts { get; private set; } = [];

    /// <summary>Rows of each KV head in a gather.</summary>
    internal int GatherRows { get; set; }

    /// <summary>Where its part of the payload begins.</summary>
    internal long PayloadOffset { get; set; }

    /// <summary>Bytes of its part of the payload.</summary>
    internal long PayloadLength { get; set; }

    /// <summary>What could not be read.</summary>
    internal List<MissingTokens> Missing { get; } = [];

    /// <summary>Bytes of keys and values read.</summary>
    internal long KvBytes { get; set; }

    /// <summary>Bytes read from the SSD.</summary>
    internal long SsdBytes { get; set; }

    /// <summary>Granules that the hot set had.</summary>
    internal long HotHits { get; set; }

    /// <summary>Granules that it had not.</summary>
    internal long HotMisses { get; set; }

    /// <summary>Begins.</summary>
    internal void Begin(RecallItem item, SequenceGrain grain, SequenceState state, DigestIndex digest)
    {
        Item = item;
        Grain = grain;
        State = state;
        Digest = digest;
        Slots = [];
        Sent.Clear();
        Missing.Clear();
        GatherRows = 0;
        PayloadOffset = PayloadLength = KvBytes = SsdBytes = HotHits = HotMisses = 0;
        int heads = state.Layout.KvHeads;
        if (Pieces.Length != heads)
        {
            Pieces = new RunList<Piece>[heads];
            for (int h = 0; h < heads; h++) Pieces[h] = new RunList<Piece>();
            SentCounts = new int[heads];
            own = new Selection(heads);
            Parts = [];
        }

        foreach (RunList<Piece> pieces in Pieces) pieces.Clear();
        SentCounts.AsSpan().Clear();
    }

    /// <summary>Forgets where rows are, to plan anew.</summary>
    internal void ClearPlan()
    {
        foreach (RunList<Piece> pieces in Pieces) pieces.Clear();
        KvBytes = 0;
    }

    /// <summary>Takes an earlier choice, or makes room for a new one.</summary>
    internal void BeginChoice(RecallRequest request, float scale, DeviceDigests device, PartChoice? given = null)
    {
        IsGiven = given is not null;
        this.given = given;
        if (given is not null)
        {
            Take(given);
            return;
        }

        Selection? earlier = Grain.Memory.Reuse.Find(request.Selector, Item.Layer, Item.Queries.Span, State.Layout.HeadDim);
        IsReused = earlier is not null;
        Choice = earlier ?? own!;
        ScoresAll = false;
        if (IsReused) return;
        own!.Clear();
        own.UnitTokens = Digest.UnitTokens;
        ScoresAll = device.Serves(Digest, Ask(request, scale));
    }

    /// <summary>Chooses for a KV head, unless an earlier choice serves. Several heads may be chosen for at once.</summary>
    internal void Choose(RecallRequest request, float scale, int kvHead, DeviceDigests device)
    {
        if (IsReused) return;
        SelectRequest asked = Ask(request, scale);
        if (IsGiven)
        {
            if (Scores.Count > 0) Digest.EstimateHead(asked, kvHead, Scores[kvHead], Choice, given!.EstimatedOf(kvHead));
            return;
        }

        if (!ScoresAll) Digest.SelectHead(asked, kvHead, Choice);

        // The device scores all heads at once, and its scores are of the thread that asks.
        else if (kvHead == 0) Digest.Select(asked with { OnDevice = device.Score(Digest, asked) }, Choice);
    }

    /// <summary>Scores a KV head for a choice that is made elsewhere.</summary>
    internal HeadScores Score(RecallRequest request, float scale, int kvHead, ScoreTable table) =>
        Digest.ScoreHead(Ask(request, scale), kvHead, table, Choice);

    /// <summary>Makes room for what scoring costs.</summary>
    internal void BeginScore()
    {
        IsReused = IsGiven = ScoresAll = false;
        own!.Clear();
        own.UnitTokens = Digest.UnitTokens;
        Choice = own;
    }

    private void Take(PartChoice given)
    {
        IsReused = ScoresAll = false;
        Choice = own!;
        own!.Clear();
        own.UnitTokens = Digest.UnitTokens;
        for (int head = 0, at = 0; head < given.Counts.Length; at += given.Counts[head++])
            own.Set(head, given.Units.AsSpan(at, given.Counts[head]));
    }

    private SelectRequest Ask(RecallRequest request, float scale) => new()
    {
        Selector = request.Selector,
        Layer = Item.Layer,
        Queries = Item.Queries.Span,
        QueryHeads = request.QueryHeads,
        Window = request.Window,
        Scale = scale,
    };

    /// <summary>Remembers a new choice for the rules that use it again. Not from several threads.</summary>
    internal void Remember(Selector selector)
    {
        if (!IsReused && !IsGiven)
            Grain.Memory.Reuse.Add(selector, Item.Layer, Item.Queries.Span, Choice, State.Layout.KvHeads);
    }

    /// <summary>Makes the parts of attention empty.</summary>
    internal void BeginAttend(int queries)
    {
        if (Parts.Length != Pieces.Length || Parts[0].QueryCount != queries || Parts[0].HeadDim != State.Layout.HeadDim)
        {
            Parts = new AttentionPart[Pieces.Length];
            for (int h = 0; h < Parts.Length; h++) Parts[h] = new AttentionPart(queries, State.Layout.HeadDim);
        }
        else
        {
            foreach (AttentionPart part in Parts) part.Clear();
        }
    }

    /// <summary>What it got.</summary>
    internal RecallItemAnswer Answer(RecallMode mode)
    {
        int heads = Pieces.Length;
        var counts = new int[heads];
        var units = new List<int>();
        for (int h = 0; h < heads; h++)
        {
            counts[h] = Choice.Units(h).Length;
            units.AddRange(Choice.Units(h));
        }

        bool isGather = mode == RecallMode.Gather;
        return new RecallItemAnswer
        {
            UnitTokens = Choice.UnitTokens,
            Counts = counts,
            Units = units.ToArray(),
            Slots = Slots,
            SentCounts = isGather ? SentCounts.ToArray() : default(ReadOnlyMemory<int>),
            Sent = isGather ? Sent.ToArray() : default(ReadOnlyMemory<int>),
            Missing = Missing.Count == 0 ? [] : Missing.ToArray(),
            PayloadOffset = PayloadOffset,
            PayloadLength = PayloadLength,
            GatherRows = isGather ? GatherRows : 0,
            Cost = new RecallCost(
                IsReused ? 0 : Choice.UnitsScored, IsReused ? 0 : Choice.DigestBytes, KvBytes, SsdBytes, HotHits, HotMisses, IsReused,
                Choice.Certified),
        };
    }

    /// <summary>Lets go of what was asked, so that it is not kept alive.</summary>
    internal void End()
    {
        Item = null!;
        Grain = null!;
        State = null!;
        Digest = null!;
        Choice = null!;
        given = null;
        Scores = ArraySegment<ScoreTable>.Empty;
        foreach (RunList<Piece> pieces in Pieces) pieces.Clear();
    }
}
