namespace KvTier.Protocol;

/// <summary>Digests, rotations and selectors on the wire: arrays of all their fields.</summary>
internal static class SelectorCodec
{
    private const int DigestFields = 11;
    private const int RotationFields = 5;
    private const int SelectorFields = 14;

    public static void WriteDigest(MessagePackWriter writer, DigestSpec digest)
    {
        writer.WriteArrayHeader(DigestFields);
        writer.Write((uint)digest.Kind);
        writer.Write(digest.ChunkTokens);
        writer.Write((uint)digest.Form);
        writer.Write(digest.Fanout);
        writer.Write(digest.SubChunks);
        writer.Write(digest.Rank);
        writer.Write(digest.Peaks);
        writer.Write(digest.ValueMap);
        writer.Write(digest.Bounds);
        writer.Write(digest.OutlierChunks);
        writer.Write(digest.CodebookSize);
    }

    public static DigestSpec ReadDigest(ref BodyReader reader, string field)
    {
        int extra = reader.BeginItem(field, DigestFields);
        var digest = new DigestSpec
        {
            Kind = (DigestKind)reader.Unsigned("digest.kind", byte.MaxValue),
            ChunkTokens = reader.Int("digest.chunkTokens", int.MaxValue),
            Form = (DigestForm)reader.Unsigned("digest.form", byte.MaxValue),
            Fanout = reader.Int("digest.fanout", int.MaxValue),
            SubChunks = reader.Int("digest.subChunks", int.MaxValue),
            Rank = reader.Int("digest.rank", int.MaxValue),
            Peaks = reader.Int("digest.peaks", int.MaxValue),
            ValueMap = reader.Bool("digest.valueMap"),
            Bounds = reader.Bool("digest.bounds"),
            OutlierChunks = reader.Int("digest.outlierChunks", int.MaxValue),
            CodebookSize = reader.Int("digest.codebookSize", int.MaxValue),
        };
        reader.EndItem(field, extra);
        return digest;
    }

    public static void WriteRotation(MessagePackWriter writer, RopeRotation? rotation)
    {
        if (rotation is not { } given)
        {
            writer.WriteNil();
            return;
        }

        writer.WriteArrayHeader(RotationFields);
        writer.Write(given.Theta);
        writer.Write(given.ScalingFactor);
        writer.Write(given.RotaryDim);
        writer.Write((uint)given.Pairing);
        writer.Write(given.FirstPosition);
    }

    public static RopeRotation? ReadRotation(ref BodyReader reader)
    {
        if (reader.TryNil()) return null;
        int extra = reader.BeginItem("rotation", RotationFields);
        var rotation = new RopeRotation(
            reader.Double("rotation.theta"),
            reader.Double("rotation.scalingFactor"),
            reader.Int("rotation.rotaryDim", int.MaxValue),
            (RopePairing)reader.Unsigned("rotation.pairing", byte.MaxValue),
            reader.Long("rotation.firstPosition"));
        reader.EndItem("rotation", extra);
        return rotation;
    }

    public static void WriteSelector(MessagePackWriter writer, Selector selector)
    {
        // The last field came later: a selector without it is as before.
        writer.WriteArrayHeader(selector.Budget.OrAll ? SelectorFields + 1 : SelectorFields);
        writer.Write(selector.Name);
        WriteDigest(writer, selector.Digest);
        writer.Write((uint)selector.Reduction);
        writer.Write(selector.Softmax);
        writer.Write((uint)selector.Budget.Kind);
        writer.Write(selector.Budget.Value);
        writer.Write(selector.SinkChunks);
        writer.Write(selector.RecentChunks);
        writer.Write(selector.MinChunks);
        writer.Write(selector.DenseLayers);
        writer.Write(selector.Estimate);
        writer.Write(selector.EstimateShare);
        writer.Write((uint)selector.Reuse.Kind);
        writer.Write(selector.Reuse.Value);
        if (selector.Budget.OrAll) writer.Write(true);
    }

    public static Selector ReadSelector(ref BodyReader reader)
    {
        int extra = reader.BeginItem("selector", SelectorFields);
        var selector = new Selector
        {
            Name = reader.Text("selector.name", Names.LengthMax),
            Digest = ReadDigest(ref reader, "selector.digest"),
            Reduction = (GroupReduction)reader.Unsigned("selector.reduce", byte.MaxValue),
            Softmax = reader.Bool("selector.softmax"),
            Budget = new RecallBudget(
                (BudgetKind)reader.Unsigned("selector.budgetKind", byte.MaxValue), reader.Double("selector.budget")),
            SinkChunks = reader.Int("selector.sinkChunks", int.MaxValue),
            RecentChunks = reader.Int("selector.recentChunks", int.MaxValue),
            MinChunks = reader.Int("selector.minChunks", int.MaxValue),
            DenseLayers = reader.Int("selector.denseLayers", int.MaxValue),
            Estimate = reader.Bool("selector.estimate"),
            EstimateShare = reader.Double("selector.estimateShare"),
            Reuse = new ReuseRule((ReuseKind)reader.Unsigned("selector.reuseKind", byte.MaxValue), reader.Double("selector.reuse")),
        };
        if (extra > 0 && reader.Bool("selector.budgetOrAll")) selector = selector with { Budget = selector.Budget with { OrAll = true } };
        reader.EndItem("selector", extra - 1);
        return selector;
    }
}
