namespace KvTier.Memory.Tests;

public sealed class LeaseTableTests
{
    [Fact]
    public void TryEnd_OtherOwnerOrTwice_IsRefused()
    {
        var table = new LeaseTable<int>();
        ulong lease = table.Grant(owner: 1, target: 42, deadline: 100);
        Assert.False(table.TryEnd(lease, 2, out _));
        Assert.False(table.TryGet(lease, 2, out _, out _));
        Assert.True(table.TryGet(lease, 1, out int target, out long deadline));
        Assert.Equal((42, 100), (target, deadline));
        Assert.True(table.TryEnd(lease, 1, out target));
        Assert.Equal(42, target);
        Assert.False(table.TryEnd(lease, 1, out _));
        Assert.False(table.TryEnd(0, 1, out _));
        Assert.Equal(0, table.Count);
    }

    [Fact]
    public void TryEndExpired_MixedDeadlines_EndsEarliestFirstAndNoneTooSoon()
    {
        var table = new LeaseTable<int>();
        int[] deadlines = [50, 10, 30, 10, 40];
        for (int i = 0; i < deadlines.Length; i++) table.Grant(owner: 7, target: i, deadlines[i]);
        Assert.False(table.TryEndExpired(9, out _, out _));
        var ended = new List<int>();
        while (table.TryEndExpired(40, out int target, out int owner))
        {
            Assert.Equal(7, owner);
            ended.Add(target);
        }

        Assert.Equal([1, 3, 2, 4], ended);
        Assert.Equal(1, table.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void LeaseTable_RandomSteps_MatchTheModel(int seed)
    {
        var random = new Random(seed);
        var table = new LeaseTable<int>();
        var model = new Dictionary<ulong, (int Owner, int Target, long Deadline)>();
        var numbers = new HashSet<ulong>();
        for (int step = 0; step < 20_000; step++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    (int Owner, int Target, long Deadline) granted = (random.Next(8), step, random.Next(1000));
                    ulong number = table.Grant(granted.Owner, granted.Target, granted.Deadline);
                    Assert.NotEqual(0UL, number);
                    Assert.True(numbers.Add(number), "a number was used twice");
                    model.Add(number, granted);
                    break;
                case 2:
                    ulong any = model.Count == 0
                        || random.Next(4) == 0 ? (ulong)random.Next(step + 1) : model.Keys.ElementAt(random.Next(model.Count));
                    int claimed = random.Next(8);
                    bool expected = model.TryGetValue(any, out (int Owner, int Target, long Deadline) lease) && lease.Owner == claimed;
                    Assert.Equal(expected, table.TryEnd(any, claimed, out int ended));
                    if (expected) Assert.Equal(lease.Target, ended);
                    if (expected) model.Remove(any);
                    break;
                case 3:
                    int gone = random.Next(8);
                    bool holds = table.TryEndAnyOf(gone, out int one);
                    Assert.Equal(model.Values.Any(entry => entry.Owner == gone), holds);
                    if (holds) RemoveByTarget(model, one, gone);
                    break;
                default:
                    long now = random.Next(300);
                    bool expired = table.TryEndExpired(now, out int late, out int owner);
                    Assert.Equal(model.Values.Any(entry => entry.Deadline <= now), expired);
                    if (expired) Assert.Equal(model.Values.Min(entry => entry.Deadline), RemoveByTarget(model, late, owner));
                    break;
            }

            Assert.Equal(model.Count, table.Count);
        }
    }

    [Fact]
    public void GrantAndEnd_InSteadyState_AllocateNothing()
    {
        var table = new LeaseTable<long>();
        for (int i = 0; i < 100; i++) table.Grant(i % 4, i, i);
        while (table.TryEndExpired(long.MaxValue, out _, out _))
        {
            // Empties the table, which keeps its room.
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int round = 0; round < 1000; round++)
        {
            ulong first = table.Grant(1, round, 5);
            table.Grant(2, round, 1);
            table.Grant(3, round, 9);
            bool ended = table.TryEndExpired(1, out _, out _) & table.TryEnd(first, 1, out _) & table.TryEndAnyOf(3, out _);
            if (!ended) throw new InvalidOperationException("a lease was not ended");
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        Assert.Equal(0, table.Count);
    }

    private static long RemoveByTarget(Dictionary<ulong, (int Owner, int Target, long Deadline)> model, int target, int owner)
    {
        KeyValuePair<ulong, (int Owner, int Target, long Deadline)> found = model.Single(entry => entry.Value.Target == target);
        Assert.Equal(found.Value.Owner, owner);
        model.Remove(found.Key);
        return found.Value.Deadline;
    }
}
