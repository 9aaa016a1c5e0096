namespace KvTier.Recall.Tests;

/// <summary>The records of manifests.</summary>
public class ManifestFormatTests
{
    private static readonly SequenceManifest manifest = new()
    {
        Namespace = new NamespaceId(0x0102030405060708, 0x1112131415161718),
        Name = "chat-ä",
        Digests =
        [
            Selectors.Moments.Digest,
            new DigestSpec { Kind = DigestKind.MinMax, ChunkTokens = 64, Fanout = 8, SubChunks = 4, Form = DigestForm.Int8 },
            new DigestSpec
            {
                Kind = DigestKind.Moments, ChunkTokens = 8, Rank = 1, Peaks = 1, ValueMap = true, Bounds = true, OutlierChunks = 3,
            },
            new DigestSpec { Kind = DigestKind.Vq, CodebookSize = 256 },
        ],
        Rotation = new RopeRotation(500_000, 8, 64, RopePairing.Interleaved, 12),
        Tokens = 40_000,
        Segments = [new BlockId(1, 2), new BlockId(3, 4)],
        Tail = [new ManifestBlock(new BlockId(5, 6), 0xFFEEDDCC), new ManifestBlock(new BlockId(7, 8), 9)],
    };

    [Fact]
    public void Head_WrittenAndRead_IsTheSame()
    {
        SequenceManifest read = ManifestFormat.ReadHead(ManifestFormat.WriteHead(manifest))!;
        Assert.Equal(manifest with { Digests = [], Segments = [], Tail = [] }, read with { Digests = [], Segments = [], Tail = [] });
        Assert.Equal(manifest.Digests, read.Digests);
        Assert.Equal(manifest.Segments, read.Segments);
        Assert.Equal(manifest.Tail, read.Tail);
        Assert.Null(ManifestFormat.ReadHead(ManifestFormat.WriteHead(manifest with { Rotation = null }))!.Rotation);
    }

    [Fact]
    public void Head_FirstBytes_ArePinned()
    {
        byte[] record = ManifestFormat.WriteHead(manifest);
        const string expected = "4B56533101" + "01020304050607081112131415161718" + "0700" + "636861742DC3A4" + "01";
        Assert.Equal(expected, Convert.ToHexString(record)[..expected.Length]);
        Assert.Equal(4 + 1 + 16 + 2 + 7 + 30 + 1 + (4 * 32) + 16 + (2 * 16) + (2 * 20), record.Length);
    }

    [Fact]
    public void Segment_WrittenAndRead_IsTheSame()
    {
        byte[] record = ManifestFormat.WriteSegment([.. manifest.Tail]);
        Assert.Equal(manifest.Tail, ManifestFormat.ReadSegment(record)!);
        Assert.Null(ManifestFormat.ReadHead(record));
        Assert.Null(ManifestFormat.ReadSegment(ManifestFormat.WriteHead(manifest)));
    }

    [Fact]
    public void ReadHead_CutAnywhereOrLonger_IsNone()
    {
        byte[] record = ManifestFormat.WriteHead(manifest);
        for (int length = 0; length < record.Length; length++) Assert.Null(ManifestFormat.ReadHead(record.AsSpan(0, length)));
        Assert.Null(ManifestFormat.ReadHead([.. record, 0]));
    }

    [Fact]
    public void ReadHead_AnyByteChanged_NeverThrows()
    {
        byte[] record = ManifestFormat.WriteHead(manifest);
        for (int i = 0; i < record.Length; i++)
        {
            foreach (byte change in new byte[] { 1, 0x80, 0xFF })
            {
                byte[] damaged = [.. record];
                damaged[i] ^= change;
                SequenceManifest? read = ManifestFormat.ReadHead(damaged);
                Assert.True(read is null || read.Tail.Count <= record.Length);
            }
        }
    }
}
