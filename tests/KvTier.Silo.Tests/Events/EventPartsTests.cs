using KvTier.Protocol;
using KvTier.Silo.Events;

namespace KvTier.Silo.Tests.Events;

/// <summary>The parts of KV events that need no socket.</summary>
public sealed class EventPartsTests
{
    [Fact]
    public void Subscriptions_SamePrefixTwice_HasToBeTakenBackTwice()
    {
        var wanted = new Subscriptions();
        Assert.True(wanted.Add("kv@"u8) && wanted.Add("kv@"u8));
        wanted.Remove("kv@"u8);
        Assert.True(wanted.Wants("kv@a@b"u8));
        Assert.False(wanted.Wants("kv"u8));
        wanted.Remove("kv@"u8);
        wanted.Remove("kv@"u8);
        Assert.False(wanted.Wants("kv@a@b"u8) || wanted.Any);
        Assert.True(wanted.Add([]));
        Assert.True(wanted.Wants("anything"u8));
    }

    [Fact]
    public void Subscriptions_TooMany_AreRefused()
    {
        var wanted = new Subscriptions();
        for (int i = 0; i < Subscriptions.Max; i++) Assert.True(wanted.Add(BitConverter.GetBytes(i)));
        Assert.False(wanted.Add("one more"u8));
        Assert.True(wanted.Add(BitConverter.GetBytes(0)));
    }

    [Fact]
    public async Task SendQueue_Full_RefusesAndLetsAnswersThrough()
    {
        var queue = new SendQueue(messagesMax: 2, bytesMax: 100);
        Assert.True(queue.TryAdd(new byte[200]), "a message longer than the limit goes when nothing waits");
        Assert.False(queue.TryAdd(new byte[1]));
        Assert.True(queue.TryAnswer([1]));
        Assert.Equal([1], await queue.TakeAsync(default));
        Assert.Equal(200, (await queue.TakeAsync(default)).Length);
        Assert.True(queue.TryAdd([2]) && queue.TryAdd([3]));
        Assert.False(queue.TryAdd([4]));
        Assert.Equal(2, queue.Count);
    }

    [Fact]
    public async Task SendQueue_IsSent_OnlyWhenWhatWasTakenIsSentToo()
    {
        var queue = new SendQueue(messagesMax: 2, bytesMax: 100);
        Assert.True(queue.IsSent);
        queue.TryAdd([1]);
        Assert.False(queue.IsSent);
        await queue.TakeAsync(default);
        Assert.False(queue.IsSent);
        queue.Sent();
        Assert.True(queue.IsSent);
    }

    [Fact]
    public void EventRing_Full_LetsTheOldestGoByCountAndByBytes()
    {
        var ring = new EventRing(batchesMax: 3, bytesMax: 1000);
        for (long i = 0; i < 5; i++) ring.Add(Batch(i, 10));
        Assert.Equal([2, 3, 4], ring.From(0, []).Select(each => each.Number));
        Assert.Equal([4], ring.From(4, []).Select(each => each.Number));
        Assert.Empty(ring.From(0, "other"u8.ToArray()));
        ring.Add(Batch(5, 600));
        Assert.Equal([4, 5], ring.From(0, []).Select(each => each.Number));
        ring.Add(Batch(6, 5000));
        Assert.Equal(0, ring.Count);
    }

    [Fact]
    public void BlockChanges_SameBlockTwice_IsLookedAtOnce()
    {
        var changes = new BlockChanges(capacity: 3, (_, _) => true);
        changes.OnChanged(1, new BlockId(0, 9));
        Assert.Empty(Take(changes, out bool all));
        Assert.False(all, "nobody asked for this namespace");
        changes.Want(1);
        foreach (ulong id in new ulong[] { 1, 2, 1, 2 }) changes.OnChanged(1, new BlockId(0, id));
        Assert.Equal([1, 2], Take(changes, out all));
        Assert.False(all);
    }

    [Fact]
    public void BlockChanges_BlockNobodySpokeOf_HasItsTurnWhenSomebodyDoes()
    {
        var known = new HashSet<BlockId>();
        var changes = new BlockChanges(capacity: 3, (_, id) => known.Contains(id));
        changes.Want(1);
        changes.OnChanged(1, new BlockId(0, 1));
        Assert.Empty(Take(changes, out _));
        changes.OnChanged(1, new BlockId(0, 2));
        foreach (ulong id in new ulong[] { 1, 2 })
        {
            known.Add(new BlockId(0, id));
            changes.Add(1, new BlockId(0, id));
        }

        changes.OnChanged(1, new BlockId(0, 2));
        Assert.Equal([1, 2], Take(changes, out _));
    }

    [Fact]
    public void BlockChanges_MoreThanItHolds_HasAllLookedAt()
    {
        var changes = new BlockChanges(capacity: 3, (_, _) => true);
        changes.Want(1);
        for (ulong id = 0; id < 5; id++) changes.OnChanged(1, new BlockId(0, id));
        Take(changes, out bool all);
        Assert.True(all);
        Take(changes, out all);
        Assert.False(all);
    }

    [Fact]
    public void NoteTable_Full_DropsThoseThatNeverCameAndKeepsThoseThatWereTold()
    {
        var probe = new KnownBlock(1, Note(0, default), 4, null);
        var table = new NoteTable(probe.Bytes * 3);
        for (ulong i = 0; i < 3; i++) Assert.True(table.Add(1, Note(i, default), 4, null));
        Assert.True(table.TryFind(1, new BlockId(0, 1), out KnownBlock? told));
        table.Tell(told, TierSet.Host);
        for (ulong i = 10; i < 20; i++) Assert.True(table.Add(1, Note(i, default), 4, null));
        Assert.True(table.TryFind(1, new BlockId(0, 1), out _));
        Assert.Equal((3, 10L), (table.Count, table.Dropped));
        foreach (ulong i in new ulong[] { 18, 19 })
        {
            Assert.True(table.TryFind(1, new BlockId(0, i), out KnownBlock? block));
            table.Tell(block, TierSet.Ssd);
        }

        Assert.False(table.Add(1, Note(30, default), 4, null), "what was told has to be revoked some day and stays");
        Assert.True(table.Bytes <= probe.Bytes * 3);
    }

    [Fact]
    public void NoteTable_NoteThatWentSinceItWasFound_IsNotTold()
    {
        var table = new NoteTable(new KnownBlock(1, Note(0, default), 4, null).Bytes);
        table.Add(1, Note(1, default), 4, null);
        Assert.True(table.TryFind(1, new BlockId(0, 1), out KnownBlock? found));
        Assert.True(table.Add(1, Note(2, default), 4, null));
        Assert.False(table.Tell(found, TierSet.Host), "nobody knows it any more when it goes");
        Assert.True(table.Add(1, Note(1, default), 4, null));
        Assert.False(table.Tell(found, TierSet.Host), "another note of the same block has its own turn");
        Assert.Equal(1, table.Count);
    }

    [Fact]
    public void NoteTable_NoteAgainWhileItGoes_AwaitsTheBlock()
    {
        var table = new NoteTable(1 << 20);
        table.Add(1, Note(1, default), 4, null);
        Assert.True(table.TryFind(1, new BlockId(0, 1), out KnownBlock? block));
        table.Tell(block, TierSet.Host);
        Assert.True(table.Add(1, Note(1, default), 4, null));
        table.Tell(block, TierSet.None);
        Assert.True(table.TryFind(1, new BlockId(0, 1), out _), "a second put is on its way");
        table.Tell(block, TierSet.Host);
        table.Tell(block, TierSet.None);
        Assert.Equal((0, 0L), (table.Count, table.Bytes));
    }

    [Fact]
    public void EventBatch_RunsOfChildren_AreOneEventForEachMedium()
    {
        var batch = new EventBatch();
        batch.Add(Known(1, 0), TierSet.None, TierSet.Host | TierSet.Ssd);
        batch.Add(Known(2, 1), TierSet.None, TierSet.Host | TierSet.Ssd);
        batch.Add(Known(9, 7), TierSet.None, TierSet.Host | TierSet.Device);
        batch.Add(Known(3, 2), TierSet.Host, TierSet.None);
        Assert.Equal(
            ["Stored CPU 2", "Stored STORAGE 2", "Stored GPU 1", "Stored CPU 1", "Removed CPU 1"],
            batch.Events.Select(each => $"{each.Kind} {each.Medium} {each.Blocks.Count}"));
        Assert.Equal((6, 1), (batch.Stored, batch.Removed));
    }

    [Theory]
    [InlineData("tcp://*:5557", "0.0.0.0:5557")]
    [InlineData("tcp://127.0.0.1:0", "127.0.0.1:0")]
    [InlineData("tcp://[::1]:5557", "[::1]:5557")]
    [InlineData("ipc:///run/events", "/run/events")]
    public void ZmqAddress_Good_IsRead(string text, string expected)
    {
        Assert.True(ZmqAddress.TryParse(text, out System.Net.EndPoint? endPoint));
        Assert.Equal(expected, endPoint.ToString());
    }

    [Theory]
    [InlineData("5557")]
    [InlineData("tcp://host:5557")]
    [InlineData("tcp://127.0.0.1")]
    [InlineData("tcp://127.0.0.1:70000")]
    [InlineData("ipc://relative")]
    [InlineData("inproc://x")]
    public void ZmqAddress_Bad_IsRefused(string text) => Assert.False(ZmqAddress.TryParse(text, out _));

    private static PublishedBatch Batch(long number, int bytes) => new("kv@"u8.ToArray(), [], number, new byte[bytes]);

    private static EventNote Note(ulong id, byte[]? parent) => new(new BlockId(0, id), new[] { (byte)id }, parent, new[] { 1, 2, 3, 4 });

    private static KnownBlock Known(byte id, byte parent) => new(1, Note(id, parent == 0 ? null : [parent]), 4, null);

    private static ulong[] Take(BlockChanges changes, out bool all)
    {
        var taken = new List<(ushort Namespace, BlockId Id)>();
        changes.Take(taken, 100, out all);
        return [.. taken.Select(each => each.Id.Low)];
    }
}
