namespace KvTier.Cluster.Tests.Node;

public sealed class RandomTests
{
    private const int Steps = 80;

    public static TheoryData<int> Seeds { get; } = [.. Enumerable.Range(0, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Cluster_RandomOperations_LosesNothingThatWasAcknowledgedAndEndsInPlace(int seed) => TestCluster.Run(4, 2, async cluster =>
    {
        var run = new RandomRun(cluster, new Random(seed));
        for (int step = 0; step < Steps; step++) await run.StepAsync();
        await run.HealAsync();
        await run.CheckAsync();
    });

    private sealed class RandomRun(TestCluster cluster, Random random)
    {
        private readonly Dictionary<int, TestBlock> acknowledged = [];
        private readonly Dictionary<int, TestBlock> written = [];
        private readonly Dictionary<int, HashSet<int>> values = [];
        private readonly List<Task> moves = [];
        private int next;
        private string? down;

        public Task StepAsync() => random.Next(14) switch
        {
            < 4 => PutAsync(),
            < 6 => SetAsync(),
            6 => RemoveValueAsync(),
            7 => GetValueAsync(),
            8 => GetAsync(),
            9 => CrashOrReturnAsync(),
            10 => Move(),
            11 => Cut(),
            12 => JoinOrDrainAsync(),
            _ => cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(random.Next(300))),
        };

        public async Task HealAsync()
        {
            foreach (TestSilo silo in cluster.Silos.Values) silo.Peers.Cut.Clear();
            await Task.WhenAll(moves);
            cluster.Publish();
            for (int i = 0; i < 3; i++)
            {
                await cluster.SettleAsync(TimeSpan.FromMinutes(5));
                await cluster.Loop.UntilAsync(() => cluster.Members.All(silo => silo.Node.Stats is { IsSettled: true, QueuedBlocks: 0 }));
                await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(500));
            }
        }

        public async Task CheckAsync()
        {
            foreach (TestBlock block in acknowledged.Values) Assert.Equal(block.Payload, await cluster.OwnerOf(block).GetAsync(block));
            foreach (TestBlock block in written.Values)
            {
                string[] holders = cluster.HoldersOf(block);
                if (holders.Length > 0) Assert.Equal(cluster.AskedFor(block).Order(), holders.Order());
                foreach (string holder in holders)
                    Assert.Equal(block.Payload, cluster[holder].Store.Get(cluster[holder].HandleOf(block), block.Id));
            }

            foreach (int number in values.Keys) await CheckValueAsync(number, mayFail: false);
        }

        private async Task PutAsync()
        {
            int number = next++;
            TestBlock block = random.Next(2) == 0 ? TestBlock.Of(number) : TestBlock.Of(random.Next(5)) with { Number = number };
            written[number] = block;
            AckLevel ack = random.Next(2) == 0 ? AckLevel.Replica : AckLevel.Memory;
            KvError? error = await cluster.OwnerOf(block).PutAsync(block, ack, TimeSpan.FromMilliseconds(random.Next(10, 3000)));
            if (error is null && ack == AckLevel.Replica) acknowledged[number] = block;
        }

        private async Task GetAsync()
        {
            if (acknowledged.Count == 0) return;
            TestBlock block = acknowledged.Values.ElementAt(random.Next(acknowledged.Count));
            byte[]? found = await cluster.OwnerOf(block).GetAsync(block);
            if (found is not null) Assert.Equal(block.Payload, found);
        }

        private async Task SetAsync()
        {
            TestBlock value = Value(random.Next(10), next++);
            KvError? error = await MutableTests.SetAsync(cluster, value);
            if (error is null) values[value.Number] = [value.Version];
            else Allowed(value.Number).Add(value.Version);
        }

        private async Task RemoveValueAsync()
        {
            int number = random.Next(10);
            KvError? error = await MutableTests.DeleteAsync(cluster, Value(number, 0));
            if (error is null) values[number] = [-1];
            else Allowed(number).Add(-1);
        }

        private Task GetValueAsync() => CheckValueAsync(random.Next(10), mayFail: true);

        private async Task CheckValueAsync(int number, bool mayFail)
        {
            (byte[]? found, KvError? error) = await MutableTests.GetAsync(cluster, Value(number, 0));
            if (error is not null)
            {
                Assert.True(mayFail, error.Message);
                return;
            }

            HashSet<int> allowed = Allowed(number);
            int version = found is null ? -1 : Find(number, found);
            Assert.True(allowed.Contains(version), $"value {number} is {version}, not {string.Join(" or ", allowed)}");
            values[number] = [version];
        }

        private int Find(int number, byte[] found) =>
            Enumerable.Range(0, next).First(version => Value(number, version).Payload.AsSpan().SequenceEqual(found));

        /// <summary>One silo at a time; those that are lost with it have copies, values have none.</summary>
        private async Task CrashOrReturnAsync()
        {
            await HealAsync();
            if (down is not null)
            {
                cluster.Add(down, cluster[down].Store, publish: true);
                down = null;
                return;
            }

            TestSilo[] candidates = [.. cluster.Members.Where(silo => !cluster.Map.Silos[cluster.Map.IndexOf(silo.Name)].Draining)];
            if (candidates.Length < 4) return;
            TestSilo victim = candidates[random.Next(candidates.Length)];
            foreach ((int number, HashSet<int> allowed) in values)
            {
                if (victim.Has(Value(number, 0))) allowed.Add(-1);
            }

            down = victim.Name;
            cluster.Crash(down);
            await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(random.Next(200)));
            cluster.Remove(down);
        }

        private Task Move()
        {
            string[] names = [.. cluster.Members.Select(silo => silo.Name)];
            TestBlock block = random.Next(2) == 0 ? TestBlock.Of(random.Next(5)) : Value(random.Next(10), 0);
            ClusterNode node = cluster.Members.ElementAt(random.Next(names.Length)).Node;
            moves.Add(node.MoveAsync(block.Group, names[random.Next(names.Length)], TimeSpan.FromSeconds(10)).AsTask());
            return Task.CompletedTask;
        }

        private Task Cut()
        {
            string[] names = [.. cluster.Members.Select(silo => silo.Name)];
            TestSilo from = cluster[names[random.Next(names.Length)]];
            if (!from.Peers.Cut.Remove(names[random.Next(names.Length)])) from.Peers.Cut.Add(names[random.Next(names.Length)]);
            return Task.CompletedTask;
        }

        private async Task JoinOrDrainAsync()
        {
            if (cluster.Silos.Count < 6)
            {
                cluster.Add(((char)('a' + cluster.Silos.Count)).ToString(), publish: true);
                return;
            }

            if (cluster.Map.Silos.Count(silo => !silo.Draining) > 3)
                cluster.Drain(cluster.Map.Silos[random.Next(cluster.Map.Silos.Count)].Name);
            await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(random.Next(100)));
        }

        private HashSet<int> Allowed(int number)
        {
            if (!values.TryGetValue(number, out HashSet<int>? allowed)) values.Add(number, allowed = [-1]);
            return allowed;
        }

        private static TestBlock Value(int number, int version) => TestBlock.Of(number, TestBlock.Mutable, version);
    }
}
