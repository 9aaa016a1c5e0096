namespace KvTier.Recall.Tests;

/// <summary>What a caller still holds is not sent again.</summary>
public class SlotTests : LeakGated
{
    [Fact]
    public void Assign_RandomSlots_KeepsWhatIsHeldAndFillsFreeSlotsInOrder()
    {
        var random = new Random(7);
        for (int round = 0; round < 500; round++)
        {
            int slots = random.Next(1, 12);
            int[] held = [.. Some(random, slots).Select(unit => random.Next(3) == 0 ? -1 : unit)];
            int[] units = [.. Some(random, random.Next(slots + 1)).Order()];
            var now = new int[slots];
            var sent = new List<int>();

            SlotDiff.Assign(held, units, now, sent);

            Assert.Equal(units, now.Where(unit => unit >= 0).Order());
            int[] missing = [.. units.Except(held)];
            Assert.Equal(missing, sent);
            int[] free = [.. Enumerable.Range(0, slots).Where(slot => held[slot] < 0 || !units.Contains(held[slot]))];
            Assert.All(Enumerable.Range(0, slots).Except(free), slot => Assert.Equal(held[slot], now[slot]));
            Assert.Equal(missing, free.Take(missing.Length).Select(slot => now[slot]));
        }
    }

    [Fact]
    public async Task RecallAsync_Held_SendsOnlyWhatIsNew()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        await silo.AddAsync("s", context);
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(32)) with { Mode = RecallMode.Gather };
        int[] empty = [.. Enumerable.Repeat(-1, 12)];
        using RecallAnswer first = await silo.RecallAsync(WithHeld(request, empty, 9));
        using RecallAnswer same = await silo.RecallAsync(WithHeld(request, first.Items[0].Slots.ToArray(), 9));
        using RecallAnswer other = await silo.RecallAsync(WithHeld(request, first.Items[0].Slots.ToArray(), 10));

        Assert.Equal(first.Items[0].Units.ToArray(), first.Items[0].Sent.ToArray());
        Assert.Equal(0, same.Items[0].PayloadLength);
        Assert.Equal(first.Items[0].Slots.ToArray(), same.Items[0].Slots.ToArray());
        for (int head = 0; head < 2; head++)
        {
            int[] before = Answers.UnitsOf(first.Items[0], head);
            Assert.Equal(Answers.UnitsOf(other.Items[0], head).Except(before), Answers.SentOf(other.Items[0], head));
        }

        Assert.NotEqual(0, other.Items[0].Sent.Length);
        Answers.AssertGathers(other, other.Items[0], request.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task RecallAsync_FewerSlotsThanUnits_IsRefused()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 128, seed: 1));
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(32)) with { Mode = RecallMode.Gather };
        KvError error = (await silo.Recall.RecallAsync(WithHeld(request, [-1, -1, -1, -1], 9), RecallHarness.Guard)).Error!;
        Assert.Equal((ErrorCode.LimitExceeded, "items[0].held"), (error.Code, error.Field));
    }

    private static IEnumerable<int> Some(Random random, int count) =>
        Enumerable.Range(0, 20).OrderBy(_ => random.Next()).Take(count);

    private static RecallRequest WithHeld(RecallRequest request, int[] held, int seed) => request with
    {
        Items = [request.Items[0] with { Held = held, Queries = KvContext.Queries(request.Items[0].Queries.Length, seed) }],
    };
}
