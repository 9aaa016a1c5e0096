namespace KvTier.Recall;

/// <summary>Something in device memory. Changed under the space's lock.</summary>
internal abstract class DeviceItem
{
    /// <summary>Where it is.</summary>
    internal required DevicePlace Place { get; init; }

    /// <summary>The sequence that brought it.</summary>
    internal required RecallMemory Owner { get; init; }

    /// <summary>Runs that use it now.</summary>
    internal int Uses { get; set; }

    /// <summary>How often it was wanted, older times counting less.</summary>
    internal int Heat { get; set; }

    /// <summary>True when it is out of the space, and its place is freed when the last use ends.</summary>
    internal bool IsOut { get; set; }

    /// <summary>It is out: nobody is to find it any more.</summary>
    internal abstract void Leave();
}

/// <summary>Names a block on the device.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Id">The block.</param>
internal readonly record struct DeviceKey(ushort Namespace, BlockId Id);

/// <summary>A block in device memory.</summary>
internal sealed class DeviceBlock(DeviceTier tier, DeviceKey key, uint payloadCrc) : DeviceItem
{
    /// <summary>Its name.</summary>
    internal DeviceKey Key => key;

    /// <summary>CRC32C of its payload.</summary>
    internal uint PayloadCrc => payloadCrc;

    /// <inheritdoc/>
    internal override void Leave() => tier.Forget(this);
}

/// <summary>A full segment of digests in device memory, laid out as on the host.</summary>
internal sealed class DeviceSegment(DeviceDigests digests, DeviceSpace space, DigestSegment segment) : DeviceItem
{
    /// <inheritdoc/>
    internal override void Leave()
    {
        segment.OnDevice = null;
        digests.Note(-1, -Place.Capacity);
    }

    /// <summary>The rows on the host change or go.</summary>
    internal void Drop() => space.Remove(this);
}
