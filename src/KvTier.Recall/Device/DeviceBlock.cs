namespace KvTier.Recall;

/// <summary>Names a block on the device.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Id">The block.</param>
internal readonly record struct DeviceKey(ushort Namespace, BlockId Id);

/// <summary>A block in device memory. Changed under the tier's lock.</summary>
internal sealed class DeviceBlock
{
    /// <summary>Where it is.</summary>
    internal required DevicePlace Place { get; init; }

    /// <summary>CRC32C of its payload.</summary>
    internal required uint PayloadCrc { get; init; }

    /// <summary>The sequence that brought it.</summary>
    internal required RecallMemory Owner { get; init; }

    /// <summary>Runs that use it now.</summary>
    internal int Uses { get; set; }

    /// <summary>Picks, older ones counting less.</summary>
    internal int Heat { get; set; }

    /// <summary>True when it is out of the tier, and its place is freed when the last use ends.</summary>
    internal bool IsOut { get; set; }
}
