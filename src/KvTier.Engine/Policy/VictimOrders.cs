namespace KvTier.Engine;

/// <summary>Makes victim orders by name.</summary>
internal static class VictimOrders
{
    /// <summary>Blocks that S3-FIFO's ghost queue remembers when only the bytes of host memory are bounded.</summary>
    private const int GhostBlocksDefault = 1 << 16;

    /// <summary>Makes the order that the options name.</summary>
    /// <exception cref="KvException">There is no such order.</exception>
    internal static IVictimOrder Create(EngineOptions options) => options.Policy switch
    {
        "lru" => new LruOrder(),
        "s3fifo" => new S3FifoOrder(options.HostBlocksMax, GhostBlocks(options.HostBlocksMax)),
        _ => throw new KvException(KvError.InvalidArgument("policy", options.Policy, "lru or s3fifo")),
    };

    // As published, the ghost queue remembers as many blocks as the main queue holds: nine tenths.
    private static int GhostBlocks(long hostBlocksMax) =>
        hostBlocksMax == 0 ? GhostBlocksDefault : (int)Math.Clamp(hostBlocksMax * 9 / 10, 1, 1 << 24);
}
