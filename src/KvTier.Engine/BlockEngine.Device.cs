namespace KvTier.Engine;

/// <summary>What the device tier tells of blocks and hears of them. Its memory is not the engine's.</summary>
public sealed partial class BlockEngine
{
    /// <summary>
    /// Called when a block that was marked by <see cref="SetOnDevice"/> is gone or has other content, so that the device tier frees its
    /// copy. It runs under the engine's lock, on any thread: note the block and return; call nothing of the engine, wait for nothing.
    /// Default none.
    /// </summary>
    public Action<ushort, BlockId>? OnDeviceBlockGone
    {
        get => state.OnDeviceBlockGone;
        set => state.OnDeviceBlockGone = value;
    }

    /// <summary>
    /// Notes that a block is in device memory or no longer is; <see cref="Describe"/> and <see cref="Prefix"/> then say so.
    /// </summary>
    /// <returns>False when the block is not here: a copy of it has to go.</returns>
    public bool SetOnDevice(ushort ns, BlockId id, bool isOnDevice)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            state.SetOnDevice(ref state.Index[number], isOnDevice);
            return true;
        }
    }
}
