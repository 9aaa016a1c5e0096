using KvTier.Cluster;

namespace KvTier.Silo.Clustering;

/// <summary>A part of a push that goes as one frame: blocks that expire together, within the other silo's limits.</summary>
/// <param name="ExpiryUnixMs">When they expire, in ms since 1970; 0 for never.</param>
/// <param name="Indexes">Their places in the batch.</param>
internal sealed record PushFrame(long ExpiryUnixMs, IReadOnlyList<int> Indexes)
{
    /// <summary>Most bytes of one frame: a push is checked and answered in pieces, and others come in between.</summary>
    private const long FrameBytesMax = 32L << 20;

    /// <summary>Cuts a batch into frames.</summary>
    public static List<PushFrame> Split(IReadOnlyList<StoredBlock> blocks, Limits limits)
    {
        var frames = new List<PushFrame>();
        long bytesMax = Math.Min(FrameBytesMax, limits.FramePayloadBytesMax);
        foreach (IGrouping<long, int> alike in Enumerable.Range(0, blocks.Count).GroupBy(i => blocks[i].ExpiryUnixMs))
        {
            var indexes = new List<int>();
            long bytes = 0, bodyBytes = 0;
            foreach (int index in alike)
            {
                int length = blocks[index].Payload.Length;
                int itemBytes = blocks[index].Key.Length + ItemBytes;
                if (indexes.Count > 0 && (indexes.Count == limits.BatchBlocksMax || bytes + length > bytesMax
                    || bodyBytes + itemBytes > limits.FrameBodyBytesMax / 2))
                {
                    frames.Add(new PushFrame(alike.Key, indexes));
                    indexes = [];
                    bytes = bodyBytes = 0;
                }

                indexes.Add(index);
                bytes += length;
                bodyBytes += itemBytes;
            }

            frames.Add(new PushFrame(alike.Key, indexes));
        }

        return frames;
    }

    /// <summary>Bytes in the body for a block beside its key, its group included.</summary>
    private const int ItemBytes = 48;
}
