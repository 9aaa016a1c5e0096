namespace KvTier.Cli.Tests;

public class ReferenceRecallTests
{
    private static readonly ExactAttention exact =
        ExactAttention.Compute(RandomTensors.Make(2, 4, 200, 32, 3, Dtype.Float32), 64, CancellationToken.None).Value;

    [Fact]
    public async Task Oracle_AnyChoiceOfAsManyTokens_HasNoMoreMass()
    {
        RecallFigures oracle = await RunAsync(ReferenceKind.Oracle, 64);
        RecallFigures chunks = await RunAsync(ReferenceKind.OracleChunks, 64);
        RecallFigures streaming = await RunAsync(ReferenceKind.Streaming, 64);
        Assert.Equal((64, 64, 64), (oracle.TokensChosen, chunks.TokensChosen, streaming.TokensChosen));
        Assert.True(oracle.MassRecall > chunks.MassRecall);
        Assert.True(chunks.MassRecall > streaming.MassRecall);
        Assert.InRange(oracle.AttendError!.Value, 0, 1e-6);
        Assert.Equal(1, streaming.Jaccard);
    }

    [Fact]
    public async Task Oracle_OneQueryHeadForEachKvHead_FindsAllOfTheBest()
    {
        RecallTensors tensors = RandomTensors.Make(2, 2, 100, 16, 2, Dtype.Float16);
        ExactAttention truth = ExactAttention.Compute(tensors, 30, CancellationToken.None).Value;
        RecallFigures figures = await RecallRunner.RunAsync(
            truth, new ReferenceRecall(truth, ReferenceKind.Oracle, 30), 30, estimates: false, CancellationToken.None);
        Assert.Equal(1, figures.RecallAtK);
        Assert.Equal(1, figures.MassRecallOfBest, 6);
        // K and V of 30 tokens in 2 heads, in fp16.
        Assert.Equal(30 * 2 * 2 * 16 * 2, figures.BytesRead);
    }

    [Fact]
    public async Task EveryReference_BudgetOfAllTokens_IsExact()
    {
        ExactAttention truth = ExactAttention.Compute(exact.Tensors, 200, CancellationToken.None).Value;
        foreach (ReferenceKind kind in Enum.GetValues<ReferenceKind>())
        {
            RecallFigures figures = await RecallRunner.RunAsync(
                truth, new ReferenceRecall(truth, kind, 200), 200, estimates: false, CancellationToken.None);
            Assert.Equal(1, figures.MassRecall, 5);
            Assert.InRange(figures.OutputRelativeL2!.Value, 0, 1e-6);
        }
    }

    private static Task<RecallFigures> RunAsync(ReferenceKind kind, int budget) =>
        RecallRunner.RunAsync(exact, new ReferenceRecall(exact, kind, budget), budget, estimates: false, CancellationToken.None);
}
