namespace KvTier.Engine.Tests;

public sealed class PolicyTests
{
    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 100)]
    [InlineData(3, 1)]
    public async Task Lru_RandomStream_BehavesAsTheTextbook(int seed, int capacity)
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = capacity, GhostBlocks = 50 });
        var random = new Random(seed);
        var order = new LinkedList<int>();
        for (int step = 0; step < 20_000; step++)
        {
            int number = Skewed(random, capacity * 3);
            bool hit = order.Remove(number);
            Assert.Equal(hit ? PutBegin.Present : PutBegin.Reserved, harness.Put(number, length: 8));
            order.AddFirst(number);
            if (order.Count > capacity) order.RemoveLast();
        }

        foreach (int number in order) Assert.Equal(TierSet.Host, harness.Describe(number).Tiers);
        Assert.Equal(order.Count, harness.Engine.Stats.HostBlocks);
    }

    [Theory]
    [InlineData(1, 20)]
    [InlineData(2, 100)]
    [InlineData(3, 10)]
    public async Task S3Fifo_RandomStream_BehavesAsPublished(int seed, int capacity)
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = capacity, Policy = "s3fifo" });
        var random = new Random(seed);
        var reference = new PublishedS3Fifo(capacity);
        for (int step = 0; step < 20_000; step++)
        {
            int number = Skewed(random, capacity * 4);
            Assert.Equal(reference.Access(number) ? PutBegin.Present : PutBegin.Reserved, harness.Put(number, length: 8));
        }
    }

    [Fact]
    public async Task GhostList_LoopLargerThanTheTier_CountsWhatALargerOneWouldHit()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 100, GhostBlocks = 100 });
        for (int round = 0; round < 3; round++)
        {
            for (int number = 0; number < 150; number++)
            {
                if (harness.Get(number) != MissReason.None) harness.Put(number, length: 8);
            }
        }

        Assert.Equal(0, harness.Engine.Stats.HostHits);
        Assert.Equal(300, harness.Engine.Stats.GhostHits);
    }

    [Fact]
    public void FingerprintRing_RandomUse_BehavesAsAQueueOfThatLength()
    {
        var random = new Random(5);
        var ring = new FingerprintRing(64);
        var reference = new Queue<(ulong Print, byte Value)>();
        for (int step = 0; step < 10_000; step++)
        {
            ulong print = (ulong)random.Next(200) * 0x9E3779B97F4A7C15;
            var value = (byte)random.Next(1, 9);
            if (ring.TryGet(print, out byte found))
            {
                Assert.Equal(reference.Single(each => each.Print == print).Value, found);
                continue;
            }

            Assert.DoesNotContain(reference, each => each.Print == print);
            ring.Add(print, value);
            reference.Enqueue((print, value));
            if (reference.Count > 64) reference.Dequeue();
            Assert.Equal(reference.Count, ring.Count);
        }
    }

    [Fact]
    public void Validate_UnknownPolicy_NamesTheField() =>
        Assert.Equal("policy", new EngineOptions { Policy = "mru" }.Validate()?.Field);

    [Theory]
    [InlineData("lru", 1)]
    [InlineData("lru", 2)]
    [InlineData("s3fifo", 3)]
    [InlineData("s3fifo", 4)]
    [InlineData("s3fifo", 5)]
    public void TakeVictim_SomeInUse_FindsOneWheneverOneMayGo(string policy, int seed)
    {
        var random = new Random(seed);
        using IVictimOrder order = VictimOrders.Create(new EngineOptions { Policy = policy, HostBlocksMax = 40 });
        var inUse = new InUse();
        var slots = new HashSet<int>();
        int taken = 0;
        for (int step = 0; step < 20_000; step++)
        {
            int slot = random.Next(40);
            bool isIn = slots.Contains(slot);
            int dice = random.Next(10);
            if (!isIn && dice < 5)
            {
                order.Insert(slot, (ulong)random.Next(100), cold: dice == 0);
                slots.Add(slot);
            }
            else if (isIn && dice == 5) order.Cool(slot);
            else if (isIn && dice < 9) order.Touch(slot);
            else if (isIn && random.Next(3) == 0)
            {
                order.Remove(slot);
                slots.Remove(slot);
            }

            if (!inUse.Slots.Remove(random.Next(40)) || random.Next(2) == 0) inUse.Slots.Add(random.Next(40));
            Assert.Equal(slots.Count, order.Count);
            if (random.Next(4) != 0) continue;
            int victim = order.TakeVictim(inUse);
            Assert.Equal(slots.Any(inUse.MayGo), victim >= 0);
            if (victim < 0) continue;
            Assert.True(slots.Remove(victim) && inUse.MayGo(victim), $"slot {victim} may not go");
            taken++;
        }

        Assert.True(taken > 500, $"only {taken} victims");
    }

    private sealed class InUse : IVictimCheck
    {
        internal HashSet<int> Slots { get; } = [];

        public bool MayGo(int slot) => !Slots.Contains(slot);

        public ulong Fingerprint(int slot) => (ulong)slot;
    }

    // Small numbers come more often.
    private static int Skewed(Random random, int range) => (int)(range * Math.Pow(random.NextDouble(), 2));

    /// <summary>Algorithm 1 of the paper, with lists.</summary>
    private sealed class PublishedS3Fifo(int capacity)
    {
        private readonly List<int> small = [];
        private readonly List<int> main = [];
        private readonly Queue<int> ghost = [];
        private readonly HashSet<int> forgotten = [];
        private readonly Dictionary<int, int> frequency = [];

        internal bool Access(int number)
        {
            if (frequency.TryGetValue(number, out int uses))
            {
                frequency[number] = Math.Min(uses + 1, 3);
                return true;
            }

            // The engine makes room first and looks into the ghost queue when the put is sealed.
            while (small.Count + main.Count >= capacity) Evict();
            bool known = ghost.Contains(number) && forgotten.Add(number);
            if (known) RemoveGhost(number);
            (known ? main : small).Add(number);
            frequency[number] = 0;
            return false;
        }

        private void Evict()
        {
            if (small.Count >= Math.Max(1, capacity / 10) || main.Count == 0) EvictSmall();
            else EvictMain();
        }

        private void EvictSmall()
        {
            int number = small[0];
            small.RemoveAt(0);
            if (frequency[number] > 1)
            {
                frequency[number] = 0;
                main.Add(number);
                return;
            }

            frequency.Remove(number);
            ghost.Enqueue(number);
            if (ghost.Count > Math.Max(1, capacity * 9 / 10)) forgotten.Remove(ghost.Dequeue());
        }

        private void EvictMain()
        {
            int number = main[0];
            main.RemoveAt(0);
            if (frequency[number] > 0)
            {
                frequency[number]--;
                main.Add(number);
            }
            else
            {
                frequency.Remove(number);
            }
        }

        // As in a ring, a place that was emptied is used up until it comes round.
        private void RemoveGhost(int number)
        {
            int[] left = [.. ghost.Select(each => each == number ? -1 : each)];
            ghost.Clear();
            foreach (int each in left) ghost.Enqueue(each);
            forgotten.Remove(number);
        }
    }
}
