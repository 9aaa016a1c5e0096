namespace KvTier.Kernels.Device;

/// <summary>A piece of the device's arena. The default value is no slot.</summary>
/// <param name="Offset">First byte, counted from the arena's start; a multiple of 512.</param>
/// <param name="Capacity">Bytes of the slot, a multiple of 512; 0 for no slot.</param>
public readonly record struct DeviceSlot(long Offset, int Capacity);

/// <summary>How an allocation ended.</summary>
public enum DeviceAllocation : byte
{
    /// <summary>There is a slot.</summary>
    Allocated,

    /// <summary>The budget has no room: move something down, then try again.</summary>
    DeviceFull,

    /// <summary>The device failed and takes nothing any more.</summary>
    Unavailable,
}
