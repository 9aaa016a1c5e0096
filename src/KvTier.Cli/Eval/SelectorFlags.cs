using System.CommandLine;
using System.Globalization;

namespace KvTier.Cli;

/// <summary>The flags that name a selector and override its fields.</summary>
internal sealed class SelectorFlags
{
    private readonly Option<string> selector = new("--selector")
    {
        Description = "Preset to begin with: " + string.Join(", ", Selectors.BuiltIn.Select(preset => preset.Name)) + ".",
        DefaultValueFactory = _ => Selectors.Moments.Name,
    };

    private readonly Option<int?> budget = Number("--budget", "Tokens for each KV head, sinks and recent ones counted in.");
    private readonly Option<string?> digest = Word("--digest", "mean, minmax, cuboid, moments, centroids or vq.");
    private readonly Option<string?> form = Word("--form", "How digests are stored: fp32, fp16 or int8.");
    private readonly Option<int?> chunk = Number("--chunk", "Tokens of a chunk: 8, 16, 32 or 64.");
    private readonly Option<string?> reduce = Word("--reduce", "Over the query heads of a KV head: max, sum, mean or union.");
    private readonly Option<bool?> softmax = new("--softmax") { Description = "Softmax over the units before the reduction." };
    private readonly Option<bool?> estimate = new("--estimate") { Description = "Estimate what is not chosen." };
    private readonly Option<double?> estimateShare = new("--estimate-share") { Description = "Share of the units estimated at most." };
    private readonly Option<int?> sinks = Number("--sink-chunks", "First chunks that are always in.");
    private readonly Option<int?> recent = Number("--recent-chunks", "Last chunks that are always in.");
    private readonly Option<int?> outliers = Number("--outlier-chunks", "Chunks that are always read, for their digest fits them worst.");
    private readonly Option<int?> least = Number("--min-chunks", "Fewest chunks, whatever the budget.");
    private readonly Option<int?> fanout = Number("--fanout", "Chunks below a node of an upper level; 0 for a flat digest.");
    private readonly Option<int?> subChunks = Number("--sub-chunks", "Parts of a chunk that are judged one by one: 1, 2, 4 or 8.");
    private readonly Option<int?> rank = Number("--rank", "Main directions that moments keep: 0 to 4.");
    private readonly Option<int?> peaks = Number("--peaks", "Tokens of a chunk that moments keep as they are: 0 to 4.");
    private readonly Option<bool?> valueMap = new("--value-map") { Description = "Learn how values follow keys (moments)." };
    private readonly Option<bool?> bounds = new("--bounds") { Description = "Keep min/max bounds too (moments)." };
    private readonly Option<int?> codebook = Number("--codebook", "Entries of the codebook of vq, 16 to 4096.");
    private readonly Option<string?> reuse = Word("--reuse", "none, every:STEPS, cosine:THRESHOLD or probe.");

    /// <summary>Adds the flags to a command.</summary>
    public SelectorFlags(Command command)
    {
        Option[] all =
        [
            selector, budget, digest, form, chunk, reduce, softmax, estimate, estimateShare, sinks, recent, outliers, least, fanout,
            subChunks, rank, peaks, valueMap, bounds, codebook, reuse,
        ];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>The preset with the fields that the flags give.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="tokens">Tokens of the sequence, which the budget may not exceed.</param>
    /// <exception cref="CliException">A flag has a value that it can't have.</exception>
    public Selector Read(ParseResult parsed, int tokens)
    {
        string name = parsed.GetValue(selector)!;
        Selector preset = Selectors.Find(name)
            ?? throw CliException.Usage("--selector", name, string.Join(", ", Selectors.BuiltIn.Select(known => known.Name)));
        DigestKind kind = parsed.GetValue(digest) is { } digestName ? Parse<DigestKind>("--digest", digestName) : preset.Digest.Kind;
        if (kind != preset.Digest.Kind) preset = WithKind(preset, kind);
        int limit = parsed.GetValue(budget) ?? (int)preset.Budget.Value;
        // A preset's own budget gives way to a short sequence; one that is asked for does not.
        if (parsed.GetValue(budget) is null) limit = Math.Min(limit, tokens);
        if (limit < 1 || limit > tokens) throw CliException.Usage("--budget", limit, $"1 to {tokens}, the tokens of the sequence");
        return preset with
        {
            Digest = ReadDigest(parsed, preset.Digest),
            Reduction = parsed.GetValue(reduce) is { } reduction ? Parse<GroupReduction>("--reduce", reduction) : preset.Reduction,
            Softmax = parsed.GetValue(softmax) ?? preset.Softmax,
            Budget = RecallBudget.OfTokens(limit),
            SinkChunks = parsed.GetValue(sinks) ?? preset.SinkChunks,
            RecentChunks = parsed.GetValue(recent) ?? preset.RecentChunks,
            MinChunks = parsed.GetValue(least) ?? preset.MinChunks,
            Estimate = parsed.GetValue(estimate) ?? preset.Estimate,
            EstimateShare = parsed.GetValue(estimateShare) ?? preset.EstimateShare,
            Reuse = parsed.GetValue(reuse) is { } rule ? ParseReuse(rule) : preset.Reuse,
        };
    }

    /// <summary>A preset over another digest: fields that belong to the old digest fall back to what the new one can have.</summary>
    private static Selector WithKind(Selector preset, DigestKind kind) => preset with
    {
        Digest = new DigestSpec
        {
            Kind = kind,
            ChunkTokens = preset.Digest.ChunkTokens,
            Form = preset.Digest.Form,
            CodebookSize = kind == DigestKind.Vq ? Selectors.A2Ats.Digest.CodebookSize : 0,
        },
        Estimate = preset.Estimate && kind is DigestKind.Moments or DigestKind.Centroids,
    };

    private DigestSpec ReadDigest(ParseResult parsed, DigestSpec spec) => spec with
    {
        ChunkTokens = parsed.GetValue(chunk) ?? spec.ChunkTokens,
        Form = parsed.GetValue(form) is { } name ? ParseForm(name) : spec.Form,
        Fanout = parsed.GetValue(fanout) ?? spec.Fanout,
        SubChunks = parsed.GetValue(subChunks) ?? spec.SubChunks,
        Rank = parsed.GetValue(rank) ?? spec.Rank,
        Peaks = parsed.GetValue(peaks) ?? spec.Peaks,
        ValueMap = parsed.GetValue(valueMap) ?? spec.ValueMap,
        Bounds = parsed.GetValue(bounds) ?? spec.Bounds,
        OutlierChunks = parsed.GetValue(outliers) ?? spec.OutlierChunks,
        CodebookSize = parsed.GetValue(codebook) ?? spec.CodebookSize,
    };

    private static T Parse<T>(string flag, string name)
        where T : struct, Enum =>
        Enum.GetNames<T>().FirstOrDefault(known => known.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } found
            ? Enum.Parse<T>(found)
            : throw CliException.Usage(flag, name, string.Join(", ", Enum.GetNames<T>().Select(known => known.ToLowerInvariant())));

    private static DigestForm ParseForm(string name) => name switch
    {
        "fp32" => DigestForm.Float32,
        "fp16" => DigestForm.Float16,
        "int8" => DigestForm.Int8,
        _ => throw CliException.Usage("--form", name, "fp32, fp16 or int8"),
    };

    private static ReuseRule ParseReuse(string text)
    {
        string[] parts = text.Split(':');
        bool number = double.TryParse(parts[^1], NumberStyles.Float, CultureInfo.InvariantCulture, out double value);
        return (parts, number) switch
        {
            (["none"], _) => default,
            (["probe"], _) => new ReuseRule(ReuseKind.Probe, 0),
            (["every", _], true) => new ReuseRule(ReuseKind.EverySteps, value),
            (["cosine", _], true) => new ReuseRule(ReuseKind.QueryCosine, value),
            _ => throw CliException.Usage("--reuse", text, "none, every:STEPS, cosine:THRESHOLD or probe"),
        };
    }

    private static Option<int?> Number(string name, string description) => new(name) { Description = description };

    private static Option<string?> Word(string name, string description) => new(name) { Description = description };
}
