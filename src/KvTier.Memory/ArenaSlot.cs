namespace KvTier.Memory;

/// <summary>A piece of an arena: an offset and the bytes it may hold. The default value is no slot.</summary>
/// <param name="Offset">First byte, counted from the start of the arena, which is also the start of the shared file; a multiple of 512, of
/// 4096 for slots of 4 KiB and more.</param>
/// <param name="Capacity">Bytes of the slot, a multiple of 512; 0 for no slot.</param>
public readonly record struct ArenaSlot(long Offset, int Capacity)
{
    /// <summary>No slot, as the payload of an empty block has.</summary>
    public static ArenaSlot None => default;

    /// <summary>True when this is no slot.</summary>
    public bool IsNone => Capacity == 0;
}
