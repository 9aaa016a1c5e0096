namespace KvTier.Recall.Tests;

/// <summary>Which blocks count as cold.</summary>
public class PickHistoryTests
{
    [Fact]
    public void TakeCold_BlockAppendedJustNow_IsNotCold()
    {
        var history = new PickHistory();
        history.Begin(3);
        for (int i = 0; i < 2 * PickHistory.CoolAfter; i++) history.Begin(4);
        history.Begin(5);
        var cold = new List<int>();

        history.TakeCold(5, cold);

        Assert.Equal([0, 1, 2, 3], cold);
    }
}
