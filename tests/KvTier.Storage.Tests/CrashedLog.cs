using KvTier.Storage.Device;
using KvTier.Storage.Format;
using KvTier.Storage.Log;

namespace KvTier.Storage.Tests;

/// <summary>What a kill left of a record that was being written.</summary>
public enum Tear
{
    /// <summary>Nothing of it was written.</summary>
    Missing,

    /// <summary>All but its first 512 bytes was.</summary>
    HeaderMissing,

    /// <summary>Its header has other bytes.</summary>
    HeaderGarbled,

    /// <summary>The last byte of its payload is another one.</summary>
    PayloadGarbled,

    /// <summary>Its segment's file ends where it begins.</summary>
    FileShort,
}

/// <summary>Which record was being written.</summary>
public enum Place
{
    /// <summary>One with whole ones behind it in its segment and in the next ones.</summary>
    Middle,

    /// <summary>The last one that begins in the first segment, with whole ones in the next ones.</summary>
    EndOfSegment,

    /// <summary>The first one that begins in the second segment, at its first byte.</summary>
    NextSegment,

    /// <summary>The one that reaches from the second segment into the third.</summary>
    OverTheEdge,
}

/// <summary>
/// Files as after a kill with many writes in flight: the commit record covers the first records only, the later ones reach over three
/// segments of 64 KiB, and all of them are whole until a test tears one.
/// </summary>
internal sealed class CrashedLog : IDisposable
{
    private const int SegmentBytes = 64 << 10;
    private readonly byte[] commitRecord;

    private CrashedLog(string directory, List<Stored> committed, List<Stored> later, byte[] commitRecord)
    {
        Directory = directory;
        Committed = committed;
        Later = later;
        this.commitRecord = commitRecord;
    }

    public string Directory { get; }

    public List<Stored> Committed { get; }

    public List<Stored> Later { get; }

    public LogOptions Options => LogFixture.SmallOptions(Directory, capBytes: 1 << 20, blockBytesMax: 32 << 10) with
    {
        PageBytes = 16 << 10,
        BufferBytes = 64 << 10,
        ReadDepth = 1,
        WriteDepth = 1,
    };

    private string CommitPath => Path.Combine(Directory, CommitFile.Name);

    public static async Task<CrashedLog> WriteAsync()
    {
        var log = new CrashedLog(LogFixture.NewDirectory(), [], [], []);
        await using LogFixture fixture = LogFixture.Open(log.Options);
        for (int i = 0; i < 4; i++) log.Committed.Add(await fixture.AppendAsync(LogFixture.Block(i, 2000)));
        Assert.Null(await fixture.Log.CommitAsync());
        byte[] older = log.ReadCommitRecord();
        for (int i = 10; i < 32; i++) log.Later.Add(await fixture.AppendAsync(LogFixture.Block(i, 6000, keyLength: i * 15)));
        Assert.Null(await fixture.Log.CommitAsync());
        await fixture.Log.AbandonAsync();
        Assert.Equal(2, SegmentOf(log.Later[^1]));
        foreach (string path in System.IO.Directory.EnumerateFiles(log.Directory, "*.idx")) File.Delete(path);
        var crashed = new CrashedLog(log.Directory, log.Committed, log.Later, older);
        crashed.PutCommitRecordBack();
        return crashed;
    }

    public static long SegmentOf(Stored stored) => stored.Address.Value / SegmentBytes;

    public string PathOf(long segment) => Path.Combine(Directory, DirectorySegmentStore.NameOf(segment));

    public byte[] ReadCommitRecord() => File.ReadAllBytes(CommitPath);

    /// <summary>Makes the commit record that of before the kill, as if what was written later had been lost.</summary>
    public void PutCommitRecordBack() => File.WriteAllBytes(CommitPath, commitRecord);

    public void RemoveCommitRecord() => File.Delete(CommitPath);

    /// <summary>The records that are there before the one at a place.</summary>
    public List<Stored> Before(Place place) => [.. Committed, .. Later[..IndexOf(place)]];

    /// <summary>Tears a later record.</summary>
    public void Tear(Tear how, Place place) => Tear(how, Later[IndexOf(place)]);

    public void Tear(Tear how, Stored stored)
    {
        long end = EndOf(stored);
        if (how == Tests.Tear.Missing) Change(stored.Address.Value, (int)(end - stored.Address.Value), static _ => 0);
        if (how == Tests.Tear.HeaderMissing) Change(stored.Address.Value, LogGeometry.Align, static _ => 0);
        if (how == Tests.Tear.HeaderGarbled) Change(stored.Address.Value + 40, 1, static old => (byte)~old);
        int padding = (-stored.Record.Payload.Length) & (LogGeometry.Align - 1);
        if (how == Tests.Tear.PayloadGarbled) Change(end - padding - 1, 1, static old => (byte)~old);
        if (how != Tests.Tear.FileShort) return;
        using FileStream file = File.OpenWrite(PathOf(SegmentOf(stored)));
        file.SetLength(stored.Address.Value % SegmentBytes);
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);

    private int IndexOf(Place place) => place switch
    {
        Place.Middle => 3,
        Place.EndOfSegment => Later.FindLastIndex(stored => SegmentOf(stored) == 0),
        Place.NextSegment => Later.FindIndex(stored => SegmentOf(stored) == 1),
        _ => Later.FindIndex(stored => SegmentOf(stored) == 1 && EndOf(stored) > 2 * SegmentBytes),
    };

    private static long EndOf(Stored stored) => new LogGeometry(14, 16).EndOf(
        stored.Address.Value, LogGeometry.HeaderBytes(stored.Record.Key.Length), stored.Record.Payload.Length);

    private void Change(long address, int count, Func<byte, byte> change)
    {
        for (long at = address; at < address + count; at++)
        {
            using FileStream file = File.Open(PathOf(at / SegmentBytes), FileMode.Open);
            file.Position = at % SegmentBytes;
            byte changed = change((byte)file.ReadByte());
            file.Position = at % SegmentBytes;
            file.WriteByte(changed);
        }
    }
}
