using System.CommandLine;

namespace KvTier.Cli;

/// <summary>The flags that say what is evaluated: three files, or synthetic tensors.</summary>
internal sealed class RecallInput
{
    private static readonly SyntheticOptions standard = new();
    private readonly Option<string?> keys = new("--keys") { Description = "Keys, .npy [Hkv, T, D], f2 or f4." };
    private readonly Option<string?> values = new("--values") { Description = "Values, .npy [Hkv, T, D]." };
    private readonly Option<string?> queries = new("--queries") { Description = "Queries, .npy [steps, Hq, D]." };
    private readonly Option<bool> synthetic = new("--synthetic") { Description = "Make tensors with what real ones have, and needles." };
    private readonly Option<int> tokens = Number("--tokens", "Tokens of synthetic tensors.", standard.Tokens);
    private readonly Option<int> steps = Number("--steps", "Queries of each head of synthetic tensors.", standard.Steps);
    private readonly Option<int> kvHeads = Number("--kv-heads", "KV heads of synthetic tensors.", standard.KvHeads);
    private readonly Option<int> queryHeads = Number("--query-heads", "Query heads of synthetic tensors.", standard.QueryHeads);
    private readonly Option<int> headDim = Number("--head-dim", "Elements of a row of synthetic tensors.", standard.HeadDim);
    private readonly Option<int> seed = Number("--seed", "Seed of synthetic tensors.", (int)standard.Seed);
    private readonly Option<string?> depths = new("--depths")
    {
        Description = $"Depths of the needles in percent; default {string.Join(',', standard.NeedleDepths)}, fewer for few steps.",
    };

    private readonly Option<string?> dtype = new("--dtype")
    {
        Description = "How K and V are stored: fp32, fp16 or bf16; default fp16 for synthetic tensors, else as in the files.",
    };

    private readonly Option<string?> save = new("--save-npy") { Description = "Write keys.npy, values.npy and queries.npy to a folder." };

    /// <summary>Adds the flags to a command.</summary>
    public RecallInput(Command command)
    {
        Option[] all = [keys, values, queries, synthetic, tokens, steps, kvHeads, queryHeads, headDim, seed, depths, dtype, save];
        foreach (Option option in all) command.Options.Add(option);
    }

    /// <summary>Reads or makes the tensors.</summary>
    /// <returns>The tensors, and what to call them.</returns>
    /// <exception cref="CliException">A flag or a file is not what it should be.</exception>
    public (RecallTensors Tensors, string Source) Read(ParseResult parsed)
    {
        Dtype? stored = parsed.GetValue(dtype) is { } name ? ParseDtype(name) : null;
        string?[] files = [parsed.GetValue(keys), parsed.GetValue(values), parsed.GetValue(queries)];
        bool made = parsed.GetValue(synthetic);
        if (made == files.Any(file => file is not null) || (!made && files.Contains(null)))
        {
            string given = made ? "given with --synthetic" : "not all given";
            throw CliException.Usage("--keys, --values, --queries", given, "all three, or --synthetic");
        }

        (RecallTensors Tensors, string Source) input = made
            ? (Make(parsed, stored ?? Dtype.Float16), $"synthetic, seed {parsed.GetValue(seed)}")
            : (RecallTensorFiles.Read(files[0]!, files[1]!, files[2]!, stored).OrFail(), string.Join(", ", files.Select(Path.GetFileName)));
        if (parsed.GetValue(save) is { } folder) RecallTensorFiles.Write(folder, input.Tensors);
        return input;
    }

    private RecallTensors Make(ParseResult parsed, Dtype stored)
    {
        var options = new SyntheticOptions
        {
            Tokens = parsed.GetValue(tokens),
            Steps = parsed.GetValue(steps),
            KvHeads = parsed.GetValue(kvHeads),
            QueryHeads = parsed.GetValue(queryHeads),
            HeadDim = parsed.GetValue(headDim),
            Seed = (ulong)parsed.GetValue(seed),
        };
        int[] needles = parsed.GetValue(depths) is { } text ? NumberList.Parse("--depths", text) : FewerDepths(options);
        return RecallTensors.Of(SyntheticKv.Generate(options with { NeedleDepths = needles })).RoundTo(stored);
    }

    /// <summary>The standard depths; for fewer steps as many of them as there are steps to ask for them, first and last among
    /// them.</summary>
    private static int[] FewerDepths(SyntheticOptions options)
    {
        int count = Math.Min(options.NeedleDepths.Count, Math.Max(options.Steps, 1));
        int last = options.NeedleDepths.Count - 1;
        return [.. Enumerable.Range(0, count).Select(i => options.NeedleDepths[i * last / Math.Max(count - 1, 1)])];
    }

    private static Dtype ParseDtype(string name) =>
        DtypeExtensions.TryParse(name, out Dtype found) && found is Dtype.Float32 or Dtype.Float16 or Dtype.BFloat16
            ? found
            : throw CliException.Usage("--dtype", name, "fp32, fp16 or bf16");

    private static Option<int> Number(string name, string description, int standard) =>
        new(name) { Description = description, DefaultValueFactory = _ => standard };
}
