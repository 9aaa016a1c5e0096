namespace KvTier.Recall.Tests;

/// <summary>The hot set by itself.</summary>
public class HotSetTests : LeakGated
{
    private readonly RecallMemory owner = new();

    [Fact]
    public void Take_MoreThanTheBudget_TheOneNotPickedForLongestGoes()
    {
        using var hot = new HotSet(4 * 1024);
        for (int granule = 0; granule < 4; granule++) Use(hot, granule);
        Use(hot, 0);
        Use(hot, 4);

        Assert.Equal(4096, hot.Bytes);
        Assert.Equal(4096, owner.HotBytes);
        Assert.Equal(1, hot.Evictions);
        Assert.True(Use(hot, 0));
        Assert.False(Use(hot, 1));
    }

    [Fact]
    public void Take_WhatIsInUse_NeverGoesAndOthersReadForThemselves()
    {
        using var hot = new HotSet(2 * 1024);
        GranuleRead[] held = [Want(0), Want(1)];
        hot.Take(held);
        GranuleRead[] more = [Want(2)];
        hot.Take(more);
        Assert.Equal(-1, more[0].HotEntry);
        GranuleRead[] same = [Want(0)];
        hot.Take(same);
        Assert.Equal(-1, same[0].HotEntry);
        hot.Release(more);
        hot.Release(same);
        held[0].IsChecked = true;
        held[0].Memory.Span.Clear();
        hot.Release(held);
        Assert.True(Use(hot, 0));
    }

    [Fact]
    public void Release_ReadFailed_EntryIsGone()
    {
        using var hot = new HotSet(2 * 1024);
        GranuleRead[] failed = [Want(0)];
        hot.Take(failed);
        failed[0].Reason = MissReason.Corrupt;
        hot.Release(failed);
        Assert.Equal(0, hot.Bytes);
        Assert.Equal(0, owner.HotBytes);
        Assert.False(Use(hot, 0));
    }

    [Fact]
    public void Release_BytesNeverCame_EntryIsGone()
    {
        using var hot = new HotSet(2 * 1024);
        GranuleRead[] given = [Want(0), Want(1)];
        hot.Take(given);
        given[1].IsChecked = true;
        hot.Release(given);
        Assert.False(Use(hot, 0));
        given = [Want(1)];
        hot.Take(given);
        Assert.True(given[0].IsHit);
        hot.Release(given);
    }

    [Fact]
    public void Take_NoBudget_HoldsNothing()
    {
        using var hot = new HotSet(0);
        Assert.False(Use(hot, 0));
        Assert.False(Use(hot, 0));
        Assert.Equal(0, hot.Count);
    }

    [Fact]
    public void Take_RandomUse_BehavesAsAListByLastPick()
    {
        using var hot = new HotSet(8 * 1024);
        var random = new Random(5);
        var order = new List<int>();
        for (int step = 0; step < 5000; step++)
        {
            int granule = random.Next(20);
            Assert.Equal(order.Remove(granule), Use(hot, granule));
            order.Add(granule);
            if (order.Count > 8) order.RemoveAt(0);
            Assert.Equal(order.Count, hot.Count);
        }
    }

    private bool Use(HotSet hot, int granule)
    {
        GranuleRead[] wants = [Want(granule)];
        hot.Take(wants);
        if (wants[0].HotEntry >= 0 && !wants[0].IsHit) wants[0].Memory.Span.Fill((byte)granule);
        wants[0].IsChecked = !wants[0].IsHit;
        if (wants[0].IsHit) Assert.True(wants[0].Memory.Span.IndexOfAnyExcept((byte)granule) < 0);
        hot.Release(wants);
        return wants[0].IsHit;
    }

    private GranuleRead Want(int granule) => new()
    {
        Key = new HotKey(1, granule),
        Bytes = 1024,
        KeyBytes = 512,
        HotEntry = -1,
        Owner = owner,
    };
}
