using System.Collections.Concurrent;
using KvTier.Engine;

namespace KvTier.Recall;

/// <summary>Blocks of hot sequences in device memory: one that recall picks often moves up. Thread-safe.</summary>
internal sealed class DeviceTier : IDisposable
{
    /// <summary>Picks of a block, older ones counting less, from which on it is worth a copy.</summary>
    internal const int HeatMin = 2;

    private readonly IRecallDevice? device;
    private readonly DeviceSpace space;
    private readonly BlockEngine engine;
    private readonly Dictionary<DeviceKey, DeviceBlock> blocks = [];
    private readonly ConcurrentQueue<DeviceKey> gone = new();

    /// <summary>Makes an empty tier.</summary>
    /// <param name="device">The device, which is not owned; null for none.</param>
    /// <param name="space">Its memory.</param>
    /// <param name="engine">Told which blocks are here.</param>
    internal DeviceTier(IRecallDevice? device, DeviceSpace space, BlockEngine engine)
    {
        this.device = device;
        this.space = space;
        this.engine = engine;
        if (!space.IsDown) engine.OnDeviceBlockGone = (ns, id) => gone.Enqueue(new DeviceKey(ns, id));
    }

    /// <summary>Blocks on the device.</summary>
    internal int Count => blocks.Count;

    /// <summary>True when it has room for blocks of this kind and can attend to them.</summary>
    internal bool Serves(SequenceState state, int queriesPerGroup) =>
        !space.IsDown && state.Rope is null && state.Layout.RowBytes % 16 == 0 && state.Layout.BlockBytes <= space.BytesMax
        && device!.CanAttend(state.Layout.Dtype, state.Layout.HeadDim, queriesPerGroup);

    /// <summary>Lets go of blocks that are gone from the engine.</summary>
    internal void DropGone()
    {
        if (gone.IsEmpty) return;
        lock (space.Gate)
        {
            while (gone.TryDequeue(out DeviceKey key))
            {
                if (blocks.TryGetValue(key, out DeviceBlock? block)) space.Remove(block);
            }
        }
    }

    /// <summary>Uses a block that is on the device, until the space's <see cref="DeviceSpace.EndUse"/>.</summary>
    /// <returns>Null when it is not there with this content.</returns>
    internal DeviceBlock? TryUse(ushort ns, in SequenceBlock wanted)
    {
        lock (space.Gate)
        {
            if (!blocks.TryGetValue(new DeviceKey(ns, wanted.Id), out DeviceBlock? block)) return null;
            if (block.PayloadCrc != wanted.PayloadCrc) return null;
            block.Uses++;
            block.Heat++;
            return block;
        }
    }

    /// <summary>Ends a use.</summary>
    internal void EndUse(DeviceBlock block) => space.EndUse(block);

    /// <summary>Attends on the device. A failure is noted; the host has to answer then.</summary>
    /// <returns>False when it failed.</returns>
    internal bool TryAttend(in DeviceAttend batch, Span<float> outputs, Span<float> lses)
    {
        KvError? error = device!.Attend(batch, outputs, lses);
        if (error is not null) space.NoteFailure(error);
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
        lock (space.Gate)
        {
            if (blocks.ContainsKey(key)) return false;
        }

        if (!space.TryCopy(payload, heat, out DevicePlace place)) return false;
        lock (space.Gate)
        {
            if (space.IsDown || blocks.ContainsKey(key) || !engine.SetOnDevice(ns, block.Id, isOnDevice: true))
            {
                space.Free(place);
                return false;
            }

            var added = new DeviceBlock(this, key, block.PayloadCrc) { Place = place, Heat = heat, Owner = owner };
            blocks.Add(key, added);
            space.Add(added);
            return true;
        }
    }

    /// <summary>A block has left the space; under its lock.</summary>
    internal void Forget(DeviceBlock block)
    {
        blocks.Remove(block.Key);
        engine.SetOnDevice(block.Key.Namespace, block.Key.Id, isOnDevice: false);
    }

    /// <inheritdoc/>
    public void Dispose() => engine.OnDeviceBlockGone = null;
}
