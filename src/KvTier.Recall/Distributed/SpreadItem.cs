namespace KvTier.Recall;

/// <summary>One item of a recall over several silos.</summary>
/// <param name="item">What is asked.</param>
/// <param name="grain">Its sequence, whose turn the recall has.</param>
internal sealed class SpreadItem(RecallItem item, SequenceGrain grain)
{
    internal RecallItem Item => item;

    internal SequenceGrain Grain => grain;

    /// <summary>What the sequence is.</summary>
    internal SequenceState State { get; } = grain.State!;

    /// <summary>Which silo has what of it.</summary>
    internal SequencePlaces Places => grain.Places!;

    /// <summary>Tokens of a unit.</summary>
    internal required int UnitTokens { get; init; }

    /// <summary>Units of the sequence.</summary>
    internal int Units => (int)((State.Tokens + UnitTokens - 1) / UnitTokens);

    /// <summary>Units of a block.</summary>
    internal int UnitsPerBlock => State.Layout.BlockTokens / UnitTokens;

    /// <summary>True when every unit is chosen without a look at a score.</summary>
    internal required bool TakesAll { get; init; }

    /// <summary>The units chosen; those of an earlier choice when it serves.</summary>
    internal Selection Choice { get; set; } = null!;

    /// <summary>True when an earlier choice serves.</summary>
    internal bool IsReused { get; set; }

    /// <summary>Slots of the caller; empty when it has none.</summary>
    internal int[] Slots { get; set; } = [];

    /// <summary>Units sent, one KV head after the other.</summary>
    internal List<int> Sent { get; } = [];

    /// <summary>How many of each KV head.</summary>
    internal int[] SentCounts { get; set; } = [];

    /// <summary>Rows of each KV head in a gather.</summary>
    internal int GatherRows { get; set; }

    /// <summary>What can't be read.</summary>
    internal List<MissingTokens> Missing { get; } = [];

    /// <summary>What it cost, over all silos.</summary>
    internal RecallCost Cost { get; set; } = new(0, 0, 0, 0, 0, 0, Reused: false, Certified: true);

    /// <summary>Where its part of the payload begins.</summary>
    internal long PayloadOffset { get; set; }

    /// <summary>Bytes of its part of the payload.</summary>
    internal long PayloadLength { get; set; }

    /// <summary>
    /// What the parts answered, in the order of <see cref="SequencePlaces.Parts"/>; null where nothing was asked or came.
    /// </summary>
    internal PartAnswerItem?[] Answers { get; set; } = [];

    /// <summary>Why a part gave nothing; none where it did.</summary>
    internal MissReason[] Lost { get; set; } = [];

    /// <summary>What each part reported of its KV heads; null where nothing came.</summary>
    internal HeadReport[]?[] Reports { get; set; } = [];

    /// <summary>Number of the item among those that each part's silo scored; -1 when it did not.</summary>
    internal required int[] Scored { get; init; }

    /// <summary>
    /// Units (clusters, where there are any) of each part's KV heads that are estimated; null for all that are not chosen.
    /// </summary>
    internal int[][][]? Estimated { get; set; }

    /// <summary>First blocks that the maps of its values are learnt from; 0 for none.</summary>
    internal required int MapBlocks { get; set; }

    /// <summary>Units of a part.</summary>
    internal int UnitsOf(int part)
    {
        int[] positions = Places.Parts[part].Positions;
        int last = SequencePlaces.LastTokens(positions, State.Blocks.Count, State.Tokens, State.Layout);
        return ((positions.Length - 1) * UnitsPerBlock) + ((last + UnitTokens - 1) / UnitTokens);
    }

    /// <summary>The unit of the sequence that a unit of a part is.</summary>
    internal int ToSequence(int part, int unit) => Places.Parts[part].ToSequence(unit, UnitsPerBlock);

    /// <summary>The units of the sequence that the units of a part are.</summary>
    internal int[] PlacesOf(int part)
    {
        int[] positions = Places.Parts[part].Positions;
        int perBlock = UnitsPerBlock;
        var units = new int[UnitsOf(part)];
        for (int i = 0; i < units.Length; i++) units[i] = (positions[i / perBlock] * perBlock) + (i % perBlock);
        return units;
    }

    /// <summary>True when a unit's part has answered so far.</summary>
    internal bool IsThere(int unit)
    {
        for (int part = 0; part < Lost.Length; part++)
        {
            if (Lost[part] == MissReason.None && Places.Parts[part].ToPart(unit, UnitsPerBlock) >= 0) return true;
        }

        return false;
    }

    /// <summary>Tokens of a unit; the last one may have fewer.</summary>
    internal int TokensOf(int unit) => (int)Math.Min(UnitTokens, State.Tokens - ((long)unit * UnitTokens));

    /// <summary>Adds what a part cost.</summary>
    internal void AddCost(in RecallCost more) => Cost = Cost with
    {
        UnitsScored = Cost.UnitsScored + more.UnitsScored,
        DigestBytes = Cost.DigestBytes + more.DigestBytes,
        KvBytes = Cost.KvBytes + more.KvBytes,
        SsdBytes = Cost.SsdBytes + more.SsdBytes,
        HotHits = Cost.HotHits + more.HotHits,
        HotMisses = Cost.HotMisses + more.HotMisses,
    };

    /// <summary>A part gives nothing: all its tokens are missing, as nobody knows which of them would have been chosen; when the choice
    /// is made already, those of its tokens that were chosen.</summary>
    internal void Lose(int part, MissReason why)
    {
        Lost[part] = why;
        if (Choice is null || TakesAll)
        {
            int blockTokens = State.Layout.BlockTokens;
            foreach (int position in Places.Parts[part].Positions)
                Missing.Add(new MissingTokens((long)position * blockTokens, State.TokensIn(position), why));
            return;
        }

        for (int head = 0; head < Choice.KvHeads; head++)
        {
            foreach (int unit in Choice.Units(head))
            {
                if (Places.Parts[part].ToPart(unit, UnitsPerBlock) >= 0)
                    Missing.Add(new MissingTokens((long)unit * UnitTokens, TokensOf(unit), why));
            }
        }
    }

    /// <summary>True when the caller holds a unit.</summary>
    internal bool IsHeld(int head, int unit)
    {
        int held = item.Held.Length / Choice.KvHeads;
        return held > 0 && item.Held.Span.Slice(head * held, held).Contains(unit);
    }

    /// <summary>The units of a part that are chosen, counted in the part.</summary>
    /// <param name="index">The part.</param>
    /// <param name="leaveOutHeld">True to leave out what the caller holds.</param>
    internal PartChoice ChoiceOf(int index, bool leaveOutHeld)
    {
        PlacedPart part = Places.Parts[index];
        var counts = new int[Choice.KvHeads];
        var units = new List<int>();
        for (int head = 0; head < counts.Length; head++)
        {
            // Both ascend, so that one walk finds them all.
            int block = 0;
            foreach (int unit in Choice.Units(head))
            {
                int position = unit / UnitsPerBlock;
                while (block < part.Positions.Length && part.Positions[block] < position) block++;
                if (block == part.Positions.Length) break;
                if (part.Positions[block] != position || (leaveOutHeld && IsHeld(head, unit))) continue;
                units.Add((block * UnitsPerBlock) + (unit % UnitsPerBlock));
                counts[head]++;
            }
        }

        return new PartChoice(counts, [.. units], Estimated?[index]);
    }
}
