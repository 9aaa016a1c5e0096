using System.Text.Json;
using KvTier.Testing;

namespace KvTier.Cli.Tests;

public class EvalRecallTests : IDisposable
{
    private static readonly string[] figures =
        ["recallAtK", "massRecall", "massRecallOfBest", "outputRelativeL2", "outputCosine", "jaccard", "tokensChosen"];

    private readonly TempDirectory folder = new();

    public void Dispose()
    {
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>fp32 all the way, so that both judge the same numbers; what is left is rounding in the service's fp32 arithmetic.</summary>
    [Theory]
    [InlineData("mean", "max", false, 16, 96)]
    [InlineData("mean", "sum", true, 8, 64)]
    [InlineData("mean", "union", false, 8, 64)]
    [InlineData("minmax", "max", false, 16, 96)]
    [InlineData("minmax", "mean", true, 32, 128)]
    [InlineData("moments", "sum", true, 16, 96, 0)]
    [InlineData("moments", "sum", true, 16, 96, 1)]
    public async Task Eval_FilesOfNumPy_AgreesWithTheJudgeInNumPy(
        string digest, string reduce, bool softmax, int chunk, int budget, int rank = 0)
    {
        Write(RandomTensors.Make(2, 8, 333, 64, 4, Dtype.Float32));
        string[] shape = ["--digest", digest, "--chunk", $"{chunk}", "--budget", $"{budget}", "--reduce", reduce, "--rank", $"{rank}"];
        bool estimate = digest == "moments";
        string[] always = ["--sink-chunks", "0", "--recent-chunks", "0"];
        CliRun run = await CliRun.Async(
        [
            "eval", "recall", .. Files, .. shape, .. always, "--selector", "triforce", "--form", "fp32", "--softmax", $"{softmax}",
            "--estimate", $"{estimate}", "--json",
        ]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        string script = await File.ReadAllTextAsync(RepositoryFiles.PathOf("tests", "python", "eval_recall.py"));
        string[] switches = [.. softmax ? (string[])["--softmax"] : [], .. estimate ? (string[])["--estimate"] : []];
        string[] arguments = [.. Files, .. shape, .. always, .. switches];
        JsonElement judged = JsonDocument.Parse(Python.RunWith("numpy", script, arguments)).RootElement;
        JsonElement said = run.Json();
        // The service finds the main direction by a few rounds of power iteration, NumPy by a singular value decomposition.
        double tolerance = rank == 0 ? 1e-5 : 1e-3;
        foreach (string name in figures)
            Assert.Equal(judged.GetProperty(name).GetDouble(), said.GetProperty(name).GetDouble(), tolerance);
        if (!estimate) Assert.InRange(said.GetProperty("attendError").GetDouble(), 0, 1e-5);
    }

    [Theory]
    [InlineData("fp32", 1e-5)]
    [InlineData("fp16", 2e-3)]
    [InlineData("bf16", 1.5e-2)]
    public async Task Eval_BudgetOfAllTokens_IsFullAttention(string dtype, double tolerance)
    {
        Write(RandomTensors.Make(2, 4, 203, 128, 3, Dtype.Float32));
        CliRun run = await CliRun.Async(
            ["eval", "recall", .. Files, "--selector", "triforce", "--budget", "203", "--dtype", dtype, "--json"]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement said = run.Json();
        Assert.InRange(said.GetProperty("outputRelativeL2").GetDouble(), 0, tolerance);
        Assert.Equal(1, said.GetProperty("recallAtK").GetDouble());
        Assert.Equal(203, said.GetProperty("tokensChosen").GetDouble());
    }

    [Fact]
    public async Task Eval_TierSsd_ChoosesTheSameAndReadsTheDevice()
    {
        Write(RandomTensors.Make(2, 4, 1024, 64, 3, Dtype.Float16));
        string[] line = ["eval", "recall", .. Files, "--selector", "triforce", "--budget", "128", "--json"];
        JsonElement host = (await CliRun.Async(line)).Json();
        CliRun run = await CliRun.Async([.. line, "--tier", "ssd", "--data-folder", folder["d"]]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement ssd = run.Json();
        foreach (string name in figures) Assert.Equal(host.GetProperty(name).GetDouble(), ssd.GetProperty(name).GetDouble(), 1e-6);
        Assert.Equal(0, host.GetProperty("ssdBytes").GetDouble());
        Assert.True(ssd.GetProperty("ssdBytes").GetDouble() > 0);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder["d"]));
    }

    [Fact]
    public async Task Eval_TierDevice_AgreesWithTheHost()
    {
        Write(RandomTensors.Make(2, 4, 1024, 64, 3, Dtype.Float16));
        string[] line = ["eval", "recall", .. Files, "--selector", "triforce", "--budget", "128", "--json"];
        JsonElement host = (await CliRun.Async(line)).Json();
        CliRun run = await CliRun.Async([.. line, "--tier", "device"]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement device = run.Json();
        Assert.Equal("device", device.GetProperty("tier").GetString());
        foreach (string name in figures) Assert.Equal(host.GetProperty(name).GetDouble(), device.GetProperty(name).GetDouble(), 1e-4);
        Assert.InRange(device.GetProperty("attendError").GetDouble(), 0, 1e-4);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public async Task Eval_KeyThatIsNoNumber_QuarantinesItsChunk(float value)
    {
        RecallTensors tensors = RandomTensors.Make(1, 2, 200, 64, 2, Dtype.Float32);
        tensors.Keys[(100 * 64) + 3] = value;
        Write(tensors);
        CliRun run = await CliRun.Async(["eval", "recall", .. Files, "--selector", "triforce", "--budget", "64", "--json"]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        Assert.Equal(1, run.Json().GetProperty("quarantinedChunks").GetInt64());
    }

    [Fact]
    public async Task Eval_Synthetic_SavesFilesThatGiveTheSameFigures()
    {
        string[] shape = ["--tokens", "1024", "--steps", "12", "--kv-heads", "1", "--query-heads", "4", "--head-dim", "64"];
        string[] how = ["--selector", "triforce", "--budget", "256", "--json"];
        CliRun made = await CliRun.Async(["eval", "recall", "--synthetic", .. shape, .. how, "--save-npy", folder.FullPath]);
        Assert.Equal((ExitCodes.Ok, ""), (made.ExitCode, made.Error));
        CliRun read = await CliRun.Async(["eval", "recall", .. Files, .. how]);
        foreach (string name in figures)
            Assert.Equal(made.Json().GetProperty(name).GetDouble(), read.Json().GetProperty(name).GetDouble(), 1e-6);
        Assert.Equal(11, made.Json().GetProperty("needles").GetArrayLength());
        Assert.Equal(0, read.Json().GetProperty("needles").GetArrayLength());
    }

    [Theory]
    [InlineData("--budget is 0; allowed: 1 to 40", "--budget", "0")]
    [InlineData("--budget is 41; allowed: 1 to 40", "--budget", "41")]
    [InlineData("--selector is nosuch; allowed: moments", "--selector", "nosuch")]
    [InlineData("--digest is sum; allowed: mean, minmax", "--digest", "sum")]
    [InlineData("--reduce is all; allowed: max, sum", "--reduce", "all")]
    [InlineData("--form is fp8; allowed: fp32", "--form", "fp8")]
    [InlineData("--tier is tape; allowed: host", "--tier", "tape")]
    [InlineData("--dtype is int8; allowed: fp32, fp16 or bf16", "--dtype", "int8")]
    [InlineData("--reuse is often; allowed: none, every:STEPS", "--reuse", "often")]
    [InlineData("digest.chunkTokens is 12; allowed: 8, 16, 32 or 64", "--chunk", "12")]
    [InlineData("selector.sinkChunks is -1; allowed: 0 or more", "--sink-chunks", "-1")]
    [InlineData("given with --synthetic; allowed: all three, or --synthetic", "--synthetic")]
    [InlineData("--budgets is 41; allowed: 1 to 40", "--compare", "--budgets", "20,41")]
    [InlineData("--budgets is 20;21; allowed: whole numbers", "--compare", "--budgets", "20;21")]
    [InlineData("--presets is best; allowed: moments", "--compare", "--presets", "best")]
    public async Task Eval_FlagThatCannotBe_NamesItAndWhatIsAllowed(string expected, params string[] flags)
    {
        Write(RandomTensors.Make(1, 2, 40, 64, 1, Dtype.Float16));
        CliRun run = await CliRun.Async(["eval", "recall", .. Files, .. flags]);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains(expected, run.OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Eval_OneFileMissing_SaysSo()
    {
        CliRun run = await CliRun.Async("eval", "recall", "--keys", "k.npy");
        Assert.Contains("--keys, --values, --queries is not all given", run.OneErrorLine(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Refused, (await CliRun.Async(["eval", "recall", .. Files])).ExitCode);
    }

    [Fact]
    public async Task Compare_SmallSynthetic_HasEveryPresetAndReferenceAndAPicture()
    {
        string[] shape = ["--tokens", "1024", "--steps", "12", "--kv-heads", "1", "--query-heads", "2", "--head-dim", "64"];
        string[] presets = [.. Selectors.BuiltIn.Select(preset => preset.Name)];
        CliRun run = await CliRun.Async(
            ["eval", "recall", "--synthetic", .. shape, "--compare", "--budgets", "192,256", "--svg", folder["p.svg"], "--markdown",
                folder["t.md"], "--json"]);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement[] rows = [.. run.Json().GetProperty("rows").EnumerateArray()];
        string[] names = [.. presets, "oracle", "oracle-chunks", "streaming"];
        Assert.Equal(names.SelectMany(name => new[] { name, name }), rows.Select(row => row.GetProperty("selector").GetString()!));
        Assert.All(rows, row => Assert.InRange(row.GetProperty("tokensChosen").GetDouble(), 1, row.GetProperty("budget").GetInt32()));
        Assert.All(rows, row => Assert.Equal(11, row.GetProperty("needles").GetArrayLength()));
        Assert.All(rows, row => Assert.InRange(row.GetProperty("massRecall").GetDouble(), 0.001, 1.0001));
        string[] table = await File.ReadAllLinesAsync(folder["t.md"]);
        Assert.Equal(names.Length + 2, table.Length);
        Assert.All(table, line => Assert.Equal(4, line.Count(c => c == '|')));
        Assert.Contains("<svg", await File.ReadAllTextAsync(folder["p.svg"]), StringComparison.Ordinal);
    }

    private string[] Files => ["--keys", folder["keys.npy"], "--values", folder["values.npy"], "--queries", folder["queries.npy"]];

    private void Write(RecallTensors tensors) => RecallTensorFiles.Write(folder.FullPath, tensors);
}
