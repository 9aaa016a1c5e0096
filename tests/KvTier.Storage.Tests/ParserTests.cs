using KvTier.Storage.Format;
using KvTier.Storage.Log;

namespace KvTier.Storage.Tests;

/// <summary>The parsers of what is on the disk: whatever the bytes, no exception, and no header but the one that was written.</summary>
public sealed class ParserTests
{
    private static readonly LogGeometry Geometry = new(16, 20);

    [Theory]
    [InlineData(0)]
    [InlineData(384)]
    [InlineData(385)]
    [InlineData(512)]
    public void RecordHeader_CutOrFlippedAnywhere_IsRefusedOrTheSame(int keyLength)
    {
        byte[] good = Region(keyLength);
        Assert.True(RecordHeader.TryRead(good, out RecordHeader whole, out int need));
        Assert.Equal(need, good.Length);
        for (int i = 0; i < good.Length; i++)
        {
            Assert.False(RecordHeader.TryRead(good.AsSpan(0, i), out _, out _));
            byte[] bad = [.. good];
            bad[i] ^= (byte)(1 << (i % 8));
            if (RecordHeader.TryRead(bad, out RecordHeader header, out _)) Assert.Equal(whole, header);
            else Assert.True(i < RecordHeader.FixedBytes + keyLength);
        }
    }

    [Fact]
    public void RecordHeader_RandomBytesWithTheRightStart_NeverThrowsAndNeverAsksForMoreThanARegion()
    {
        var random = new Random(5);
        byte[] good = Region(100);
        for (int i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(1100)];
            random.NextBytes(bytes);
            good.AsSpan(0, Math.Min(bytes.Length, random.Next(20))).CopyTo(bytes);
            RecordHeader.TryRead(bytes, out _, out int need);
            Assert.InRange(need, 512, 1024);
        }
    }

    [Fact]
    public void SegmentIndex_CutOrFlippedAnywhere_IsRefused()
    {
        byte[] good = Index();
        Assert.True(SegmentIndexFile.TryRead(good, out SegmentIndexHeader header));
        Assert.Equal(2, header.Count);
        for (int i = 0; i < good.Length; i++)
        {
            Assert.False(SegmentIndexFile.TryRead(good.AsSpan(0, i), out _));
            byte[] bad = [.. good];
            bad[i] ^= (byte)(1 << (i % 8));
            Assert.False(SegmentIndexFile.TryRead(bad, out _));
        }
    }

    [Fact]
    public void SegmentIndexEntry_RandomBytes_NeverThrows()
    {
        var random = new Random(6);
        for (int i = 0; i < 20_000; i++)
        {
            var bytes = new byte[random.Next(700)];
            random.NextBytes(bytes);
            ReadOnlySpan<byte> entries = bytes;
            while (SegmentIndexFile.TryReadEntry(ref entries, 1 + (i % 2), out RecoveredRecord record, out ReadOnlySpan<byte> key))
                Assert.True(key.Length <= 512 && record.Length >= 0);
        }
    }

    [Fact]
    public void CommitRecord_CutOrFlippedAnywhere_IsRefused()
    {
        var good = new byte[CommitFile.SlotBytes];
        var written = new CommitRecord(7, 3, 512, 1 << 20, Clean: true);
        CommitFile.Format(good, written);
        Assert.True(CommitFile.TryParse(good, out CommitRecord read));
        Assert.Equal(written, read);
        for (int i = 0; i < 48; i++)
        {
            Assert.False(CommitFile.TryParse(good.AsSpan(0, i), out _));
            byte[] bad = [.. good];
            bad[i] ^= 0x10;
            Assert.False(CommitFile.TryParse(bad, out _));
        }
    }

    private static byte[] Region(int keyLength)
    {
        int headerBytes = LogGeometry.HeaderBytes(keyLength);
        var region = new byte[headerBytes];
        var key = new byte[keyLength];
        new Random(1).NextBytes(key);
        var header = new RecordHeader
        {
            Kind = 1,
            Codec = 3,
            KeyLength = keyLength,
            HeaderBytes = headerBytes,
            Address = 1024,
            FirstAddress = 1024,
            Epoch = 5,
            Namespace = new NamespaceId(1, 2),
            Id = new BlockId(3, 4),
            PayloadLength = 1000,
            FragmentLength = 1000,
            PayloadCrc = 77,
            ExpiryUnixMs = 88,
            Geometry = Geometry,
        };
        header.Write(region.AsSpan(4), key);
        BitConverter.TryWriteBytes(region, header.TotalBytes - 4);
        return region;
    }

    private static byte[] Index()
    {
        var file = new byte[SegmentIndexFile.HeaderBytes + SegmentIndexFile.EntryBytes(20) + SegmentIndexFile.EntryBytes(0)];
        var record = new RecoveredRecord
        {
            Kind = LogRecordKind.Block,
            Address = new LogAddress(512),
            Namespace = new NamespaceId(1, 2),
            Length = 9,
        };
        SegmentIndexFile.WriteEntry(file.AsSpan(SegmentIndexFile.HeaderBytes), record, new byte[20]);
        SegmentIndexFile.WriteEntry(file.AsSpan(SegmentIndexFile.HeaderBytes + SegmentIndexFile.EntryBytes(20)), record, default);
        SegmentIndexFile.WriteHeader(file, new SegmentIndexHeader(Geometry, 0, 4096, 1, 2, file.Length - SegmentIndexFile.HeaderBytes));
        return file;
    }
}
