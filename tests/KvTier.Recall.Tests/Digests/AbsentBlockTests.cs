namespace KvTier.Recall.Tests.Digests;

public class AbsentBlockTests
{
    public static TheoryData<string, Dtype> Presets()
    {
        var data = new TheoryData<string, Dtype>();
        foreach (string name in (string[])["moments", "quest", "retroinfer", "a2ats"])
            foreach (Dtype dtype in (Dtype[])[Dtype.Int8, Dtype.Float16]) data.Add(name, dtype);
        return data;
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void SetBlock_BlockIsGone_EveryTokenOfItIsChosenAndCounted(string preset, Dtype dtype)
    {
        Selector selector = Selectors.Find(preset)! with { Budget = RecallBudget.OfTokens(96) };
        // The clusters of a full run are made over the gap.
        var sample = new KvSample(31, 2500, dtype: dtype);
        using DigestIndex index = DigestIndex.Create(selector.Digest, sample.Layout, null);
        for (int block = 0; block < sample.Blocks; block++)
        {
            byte[] payload = sample.Payload(block, out int tokens);
            index.SetBlock(block, tokens, block == 7 ? [] : payload);
        }

        using DigestIndex fork = index.Fork(9);
        foreach (DigestIndex read in new[] { index, fork })
        {
            Selection selection = sample.Select(read, selector, sample.Queries(4), 4);
            Assert.Equal(2 * 64 / selection.UnitTokens, read.QuarantinedChunks);
            for (int head = 0; head < 2; head++)
            {
                int[] units = selection.Units(head).ToArray();
                for (int t = 7 * 64; t < 8 * 64; t++) Assert.Contains(t / selection.UnitTokens, units);
                if (selection.Estimate(head) is not { } estimate) continue;
                float[] output = new float[2 * 16];
                estimate.Finish(output, new float[2]);
                Assert.All(output, x => Assert.True(float.IsFinite(x)));
            }
        }
    }
}
