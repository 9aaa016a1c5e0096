using System.Collections.Concurrent;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>
/// Blocks of hot sequences in device memory, under a byte budget. A block that recall picks often moves up; when there is no room, blocks
/// that are picked less give way, and those in use never do. A device that fails is not used again. Thread-safe.
/// </summary>
internal sealed class DeviceTier : IDisposable
{
    /// <summary>Picks of a block, older ones counting less, from which on it is worth a copy.</summary>
    internal const int HeatMin = 2;

    /// <summary>Uses of the tier after which all heat halves.</summary>
    private const int HalveAfter = 256;

    private readonly IRecallDevice? device;
    private readonly long bytesMax;
    private readonly BlockEngine engine;
    private readonly Lock gate = new();
    private readonly Dictionary<DeviceKey, DeviceBlock> blocks = [];
    private readonly ConcurrentQueue<DeviceKey> gone = new();
    private int uses;
    private bool isDown;
    private bool hasRefused;

    /// <summary>Makes an empty tier.</summary>
    /// <param name="device">The device; null for none. It is not owned.</param>
    /// <param name="bytesMax">Bytes of it that blocks may take; 0 for none.</param>
    /// <param name="engine">Told which blocks are here.</param>
    internal DeviceTier(IRecallDevice? device, long bytesMax, BlockEngine engine)
    {
        this.device = bytesMax > 0 ? device : null;
        this.engine = engine;
        if (this.device is null) return;
        this.bytesMax = Math.Min(bytesMax, this.device.CapacityBytes);
        engine.OnDeviceBlockGone = (ns, id) => gone.Enqueue(new DeviceKey(ns, id));
    }

    /// <summary>Bytes of blocks on the device.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Blocks on it.</summary>
    internal int Count => blocks.Count;

    /// <summary>Why it is not used any more; null while it is.</summary>
    internal KvError? Fault { get; private set; }

    /// <summary>Called once, when the device has failed.</summary>
    internal Action<KvError>? OnFault { get; set; }

    /// <summary>Requests that the device failed or refused, and the host answered.</summary>
    internal long Fallbacks { get; private set; }

    /// <summary>Called at the first request that it refused without having failed.</summary>
    internal Action<KvError>? OnRefusal { get; set; }

    /// <summary>Copies made.</summary>
    internal long Additions { get; private set; }

    /// <summary>Blocks that gave way to others.</summary>
    internal long Evictions { get; private set; }

    /// <summary>True when it has room for blocks of this kind and can attend to them.</summary>
    internal bool Serves(SequenceState state, int queriesPerGroup) =>
        device is not null && !isDown && state.Rope is null && state.Layout.RowBytes % 16 == 0 && state.Layout.BlockBytes <= bytesMax
        && device.Supports(state.Layout.Dtype, state.Layout.HeadDim, queriesPerGroup);

    /// <summary>Lets go of blocks that are gone from the engine.</summary>
    internal void DropGone()
    {
        if (gone.IsEmpty) return;
        lock (gate)
        {
            while (gone.TryDequeue(out DeviceKey key))
            {
                if (blocks.TryGetValue(key, out DeviceBlock? block)) Remove(key, block);
            }
        }
    }

    /// <summary>Uses a block that is on the device, until <see cref="EndUse"/>.</summary>
    /// <returns>Null when it is not there with this content.</returns>
    internal DeviceBlock? TryUse(ushort ns, in SequenceBlock wanted)
    {
        lock (gate)
        {
            if (isDown || !blocks.TryGetValue(new DeviceKey(ns, wanted.Id), out DeviceBlock? block)) return null;
            if (block.PayloadCrc != wanted.PayloadCrc) return null;
            block.Uses++;
            block.Heat++;
            return block;
        }
    }

    /// <summary>Ends a use.</summary>
    internal void EndUse(DeviceBlock block)
    {
        lock (gate)
        {
            if (--block.Uses == 0 && block.IsOut) device!.Free(block.Place);
        }
    }

    /// <summary>Attends on the device. A failure is noted; the host has to answer then.</summary>
    /// <returns>False when it failed.</returns>
    internal bool TryAttend(in DeviceAttend batch, Span<float> outputs, Span<float> lses)
    {
        KvError? error = device!.Attend(batch, outputs, lses);
        if (error is not null) NoteFailure(error);
        return error is null;
    }

    /// <summary>Copies a block up if it is worth it.</summary>
    /// <param name="ns">Handle of its namespace.</param>
    /// <param name="block">The block.</param>
    /// <param name="payload">Its payload, under a lease.</param>
    /// <param name="heat">Its picks, older ones counting less.</param>
    /// <param name="owner">Whose figure of device bytes grows.</param>
    /// <returns>True when it was copied.</returns>
    internal bool TryAdd(ushort ns, in SequenceBlock block, ReadOnlyMemory<byte> payload, int heat, RecallMemory owner)
    {
        var key = new DeviceKey(ns, block.Id);
        DevicePlace place;
        lock (gate)
        {
            if (isDown || blocks.ContainsKey(key) || !TryAllocate(payload.Length, heat, out place)) return false;
        }

        // The copy runs outside the lock; nobody knows the place yet.
        KvError? error = device!.Copy(payload, place);
        if (error is not null) NoteFailure(error);
        lock (gate)
        {
            if (error is not null || isDown || blocks.ContainsKey(key) || !engine.SetOnDevice(ns, block.Id, isOnDevice: true))
            {
                device.Free(place);
                return false;
            }

            blocks.Add(key, new DeviceBlock { Place = place, PayloadCrc = block.PayloadCrc, Heat = heat, Owner = owner });
            Bytes += place.Capacity;
            Additions++;
            owner.AddDeviceBytes(place.Capacity);
            return true;
        }
    }

    /// <summary>A run that may use the tier begins: older heat counts less as runs go by.</summary>
    internal void Begin()
    {
        if (device is null) return;
        DropGone();
        lock (gate)
        {
            if (++uses % HalveAfter != 0) return;
            foreach (DeviceBlock block in blocks.Values) block.Heat /= 2;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (device is null) return;
        engine.OnDeviceBlockGone = null;
        lock (gate)
        {
            isDown = true;
            RemoveAll();
        }
    }

    private void NoteFailure(KvError error)
    {
        Action<KvError>? hear;
        lock (gate)
        {
            Fallbacks++;
            if (isDown) return;
            isDown = device!.Fault is not null;
            if (isDown)
            {
                Fault = error;
                RemoveAll();
            }

            hear = isDown ? OnFault : hasRefused ? null : OnRefusal;
            hasRefused = true;
        }

        hear?.Invoke(error);
    }

    private bool TryAllocate(int bytes, int heat, out DevicePlace place)
    {
        place = default;
        while (Bytes + bytes > bytesMax || !device!.TryAllocate(bytes, out place))
        {
            KeyValuePair<DeviceKey, DeviceBlock> coldest = default;
            foreach (KeyValuePair<DeviceKey, DeviceBlock> each in blocks)
            {
                if (each.Value.Uses == 0 && (coldest.Value is null || each.Value.Heat < coldest.Value.Heat)) coldest = each;
            }

            if (coldest.Value is null || coldest.Value.Heat >= heat) return false;
            Remove(coldest.Key, coldest.Value);
            Evictions++;
        }

        return true;
    }

    private void RemoveAll()
    {
        foreach ((DeviceKey key, DeviceBlock block) in blocks.ToArray()) Remove(key, block);
    }

    private void Remove(DeviceKey key, DeviceBlock block)
    {
        blocks.Remove(key);
        Bytes -= block.Place.Capacity;
        block.Owner.AddDeviceBytes(-block.Place.Capacity);
        block.IsOut = true;
        engine.SetOnDevice(key.Namespace, key.Id, isOnDevice: false);
        if (block.Uses == 0) device!.Free(block.Place);
    }
}
