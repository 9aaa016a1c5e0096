using System.Text.Json;
using KvTier.Testing;

namespace KvTier.Cli.Tests;

/// <summary>The judge against NumPy in double precision, and against cases whose figures are known.</summary>
public class RecallJudgeTests : IDisposable
{
    private const string Exact =
        """
        import sys, json, numpy as np
        k, v, q = (np.load(f"{sys.argv[1]}/{name}.npy").astype(np.float64) for name in ("keys", "values", "queries"))
        group = q.shape[1] // len(k)
        p = np.stack([[np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in
                       (step[h] @ k[h // group].T / np.sqrt(q.shape[2]) for h in range(q.shape[1]))] for step in q])
        o = np.stack([[p[s, h] @ v[h // group] for h in range(q.shape[1])] for s in range(len(q))])
        best = np.argsort(-p, axis=2, kind="stable")[:, :, : int(sys.argv[2])]
        print(json.dumps({"p": p.ravel().tolist(), "o": o.ravel().tolist(), "best": best.ravel().tolist()}))
        """;

    private readonly TempDirectory folder = new();

    public void Dispose()
    {
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(1, 1, 1, 8)]
    [InlineData(2, 8, 77, 20)]
    [InlineData(4, 4, 300, 64)]
    public void Compute_AnyShape_AgreesWithNumPy(int kvHeads, int queryHeads, int tokens, int dim)
    {
        RecallTensors tensors = RandomTensors.Make(kvHeads, queryHeads, tokens, dim, 3, Dtype.Float32);
        RecallTensorFiles.Write(folder.FullPath, tensors);
        int budget = Math.Min(17, tokens);
        ExactAttention exact = ExactAttention.Compute(tensors, budget, CancellationToken.None).Value;
        using JsonDocument judged = JsonDocument.Parse(Python.RunWith("numpy", Exact, folder.FullPath, $"{budget}"));
        double[] Numbers(string name) => [.. judged.RootElement.GetProperty(name).EnumerateArray().Select(number => number.GetDouble())];
        double[] p = Numbers("p");
        double[] o = Numbers("o");
        float[] ownP = [.. Enumerable.Range(0, 3).SelectMany(step => exact[step].Probabilities)];
        double[] ownO = [.. Enumerable.Range(0, 3).SelectMany(step => exact[step].Output)];
        for (int i = 0; i < p.Length; i++) Assert.Equal(p[i], ownP[i], 1e-7);
        for (int i = 0; i < o.Length; i++) Assert.Equal(o[i], ownO[i], 1e-12);
        Assert.Equal(Numbers("best"), Enumerable.Range(0, 3).SelectMany(step => exact[step].Best).Select(token => (double)token));
    }

    [Fact]
    public void Figures_ChoiceOfAllTokens_IsPerfect()
    {
        RecallTensors tensors = RandomTensors.Make(2, 4, 50, 16, 2, Dtype.Float32);
        ExactAttention exact = ExactAttention.Compute(tensors, 50, CancellationToken.None).Value;
        RecallFigures figures = Judge(exact, 50, _ => [.. Enumerable.Range(0, 50)]);
        Assert.Equal(1, figures.RecallAtK);
        Assert.Equal(1, figures.MassRecall, 6);
        Assert.Equal(1, figures.MassRecallOfBest, 6);
        Assert.Equal(0, figures.OutputRelativeL2!.Value, 6);
        Assert.Equal(1, figures.OutputCosine!.Value, 6);
        Assert.Equal((1, 50), (figures.Jaccard, figures.TokensChosen));
        Assert.InRange(figures.AttendError!.Value, 0, 1e-6);
    }

    [Fact]
    public void Figures_ShareAndJaccard_FollowTheirDefinitions()
    {
        RecallTensors tensors = RandomTensors.Make(1, 1, 8, 4, 2, Dtype.Float16);
        ExactAttention exact = ExactAttention.Compute(tensors, 4, CancellationToken.None).Value;
        // Two tokens in common of six in all; 100 bytes of digests and 28 of K and V, of 2 x 8 x 4 x 2.
        RecallFigures figures = Judge(exact, 4, step => step == 0 ? [0, 1, 2, 3] : [2, 3, 4, 5]);
        Assert.Equal(2.0 / 6, figures.Jaccard);
        Assert.Equal((128, 1), (figures.BytesRead, figures.BytesReadShare));
        int[] best = exact[0].Best;
        double recall = (best.Count(token => token < 4) + exact[1].Best.Count(token => token is >= 2 and < 6)) / 8.0;
        Assert.Equal(recall, figures.RecallAtK);
    }

    [Fact]
    public void Figures_Needle_IsFoundWhenItsTokenIsChosenAndItsValueComes()
    {
        RecallTensors random = RandomTensors.Make(1, 2, 32, 16, 2, Dtype.Float32);
        // Token 9 is all that the first query head of step 1 looks at.
        float[] queries = [.. random.Queries];
        for (int j = 0; j < 16; j++) queries[(2 * 16) + j] = 20 * random.Keys[(9 * 16) + j];
        var needle = new Needle(30, 0, 0, 9, 1, random.Values.AsMemory(9 * 16, 16));
        RecallTensors tensors = random with { Queries = queries, Needles = [needle, needle with { DepthPercent = 70, QueryHead = 1 }] };
        ExactAttention exact = ExactAttention.Compute(tensors, 4, CancellationToken.None).Value;
        RecallFigures with9 = Judge(exact, 4, _ => [7, 8, 9]);
        Assert.Equal([new NeedleFigures(30, 1, 1), new NeedleFigures(70, 1, 0)], with9.Needles);
        RecallFigures without9 = Judge(exact, 4, _ => [7, 8, 10]);
        Assert.Equal([0.0, 0.0], without9.Needles.Select(depth => depth.Accuracy));
    }

    [Fact]
    public void Figures_OutputThatIsNoNumber_HasNoError()
    {
        RecallTensors tensors = RandomTensors.Make(1, 1, 8, 4, 1, Dtype.Float32);
        ExactAttention exact = ExactAttention.Compute(tensors, 2, CancellationToken.None).Value;
        var judge = new RecallJudge(exact, 2, estimates: false);
        judge.Add(new StepChoice([[0, 1]], [float.NaN, 0, 0, 0], default));
        Assert.Null(judge.Figures().OutputRelativeL2);
        Assert.Null(judge.Figures().AttendError);
    }

    /// <summary>Judges choices whose output is the judge's own.</summary>
    private static RecallFigures Judge(ExactAttention exact, int budget, Func<int, int[]> choose)
    {
        RecallTensors tensors = exact.Tensors;
        var judge = new RecallJudge(exact, budget, estimates: false);
        double[] row = new double[tensors.HeadDim];
        for (int step = 0; step < tensors.Steps; step++)
        {
            int[] tokens = choose(step);
            var output = new List<float>();
            for (int head = 0; head < tensors.QueryHeads; head++)
            {
                exact.OutputOf(step, head, tokens, row);
                output.AddRange(row.Select(value => (float)value));
            }

            var cost = new RecallCost(0, 100, 28, 0, 0, 0, Reused: false, Certified: true);
            judge.Add(new StepChoice([.. Enumerable.Repeat(tokens, tensors.KvHeads)], [.. output], cost));
        }

        return judge.Figures();
    }
}
