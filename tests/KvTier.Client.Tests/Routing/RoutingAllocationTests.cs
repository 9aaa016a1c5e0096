namespace KvTier.Client.Tests.Routing;

/// <summary>Routed puts and gets allocate the same for few blocks as for many.</summary>
public sealed class RoutingAllocationTests
{
    private const int Rounds = 30;

    [Fact]
    public async Task PutGetAndPrefix_OfManyBlocks_AllocateNothingPerBlock()
    {
        await using LiveCluster cluster = await LiveCluster.StartAsync(2);
        (KvClusterClient client, KvClusterNamespace ns) = await cluster.ConnectAsync(options => options.Silo.Connections = 1);
        await using (client)
        {
            Batch few = new(ns, 70), many = new(ns, 326);
            foreach (Batch batch in new[] { few, many })
            {
                for (int i = 0; i < Rounds; i++) await batch.RoundAsync();
            }

            // Client, silos and test share the process. A request is answered by more runs where there are more blocks: a few bytes a
            // block. A machine that is slow sees more of what silos do by themselves, hence the least of several measurements.
            long perFew = long.MaxValue, perMany = long.MaxValue, perBlock = long.MaxValue;
            for (int i = 0; i < 5 || (i < 25 && perBlock >= 24); i++)
            {
                perFew = Math.Min(perFew, await MeasureAsync(few));
                perMany = Math.Min(perMany, await MeasureAsync(many));
                perBlock = (perMany - perFew) / 256;
            }

            Assert.True(perBlock < 24, $"{perBlock} B a block: {perFew} B for 70 blocks, {perMany} B for 326");
        }
    }

    private static async Task<long> MeasureAsync(Batch batch)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        for (int round = 0; round < Rounds; round++) await batch.RoundAsync();
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / Rounds;
    }

    private sealed class Batch
    {
        private readonly KvClusterNamespace ns;
        private readonly Prompt prompt;
        private readonly GetBlock[] gets;
        private readonly PutStatus[] statuses;
        private readonly BlockResult[] results;

        public Batch(KvClusterNamespace ns, int count)
        {
            this.ns = ns;
            prompt = new Prompt(ns, $"batch-{count}", count);
            gets = [.. prompt.Ids.Select((id, i) => new GetBlock(id, new byte[5000], Group: prompt.Groups[i]))];
            statuses = new PutStatus[count];
            results = new BlockResult[count];
        }

        public async ValueTask RoundAsync()
        {
            PutSummary put = (await ns.PutAsync(prompt.Puts, statuses)).Value;
            int here = (await ns.PrefixAsync(prompt.Ids, prompt.Groups)).Value;
            GetSummary got = (await ns.GetAsync(gets, results)).Value;
            if (put.Refused > 0 || here != gets.Length || got.Hits != gets.Length)
                throw new InvalidOperationException($"{put}, {here}, {got}");
        }
    }
}
