namespace KvTier.Engine.Tests;

/// <summary>What must always hold between index, slots, arena and counters.</summary>
internal static class Conservation
{
    internal static void Check(BlockEngine engine)
    {
        EngineState state = engine.State;
        lock (state.Gate)
        {
            long scratch = 0, scratchBytes = 0;
            long used = 0, host = 0, hostBytes = 0, leased = 0, reserved = 0, dirty = 0, ordered = 0;
            for (int number = 0; number < state.Host.Slots.Top; number++)
            {
                ref HostSlot slot = ref state.Host.Slots[number];
                if (slot.State == SlotState.Free) continue;
                used += slot.Capacity;
                if (slot.Leases > 0) leased++;
                if (slot.State == SlotState.Reserved) reserved++;
                if (slot.Has(SlotFlags.Dirty)) dirty++;
                if (slot.Has(SlotFlags.Ordered)) ordered++;
                Assert.True(!slot.Has(SlotFlags.Ordered) || slot.Has(SlotFlags.Blocked) == !state.MayGo(number), "a slot's mark disagrees");
                if (slot.State == SlotState.Scratch) (scratch, scratchBytes) = (scratch + 1, scratchBytes + slot.Capacity);
                bool mustBeHeld = slot.State is SlotState.Orphan or SlotState.Scratch;
                Assert.True(!mustBeHeld || slot.Leases + slot.Holds > 0, "an orphan or scratch that nobody holds");
                if (slot.State is not (SlotState.Sealed or SlotState.Reading)) continue;
                ref BlockEntry entry = ref state.Index[slot.Entry];
                Assert.Equal(number, entry.Slot);
                if (slot.State != SlotState.Sealed) continue;
                host++;
                hostBytes += entry.Length;
                Assert.False(entry.Has(EntryFlags.Pinned) && slot.Has(SlotFlags.Ordered), "a pinned slot is in the victim order");
            }

            EngineCounters counters = state.Counters;
            Assert.Equal(used, state.Arena.UsedBytes);
            Assert.Equal((host, hostBytes), (counters.HostBlocks, counters.HostBytes));
            Assert.Equal((leased, reserved, dirty), (counters.LeasedSlots, counters.ReservedSlots, counters.DirtyBlocks));
            Assert.Equal((scratch, scratchBytes), (counters.ScratchSlots, counters.ScratchBytes));
            Assert.Equal(ordered, state.Host.Ordered);
            CheckEntries(state, counters);
            CheckGroups(state, counters);
        }
    }

    private static void CheckGroups(EngineState state, EngineCounters counters)
    {
        var groups = new Dictionary<(ushort, BlockId), (uint Blocks, long Bytes)>();
        var alone = new HashSet<(ushort, BlockId)>();
        long bytes = 0;
        for (uint number = 1; number < state.Index.Top; number++)
        {
            ref BlockEntry entry = ref state.Index[number];
            if (entry.Namespace == BlockEntry.FreeNamespace)
            {
                Assert.Equal(0u, state.Index.GroupOf(number));
                continue;
            }

            bytes += entry.Length;
            (ushort, BlockId) key = (entry.Namespace, state.GroupOf(number));
            if (state.Index.GroupOf(number) == 0)
            {
                alone.Add(key);
                continue;
            }

            (uint blocks, long sum) = groups.GetValueOrDefault(key);
            groups[key] = (blocks + 1, sum + entry.Length);
        }

        Assert.Equal(bytes, counters.BlockBytes);
        Assert.Equal(groups.Count, state.Groups.Count);
        foreach (((ushort ns, BlockId id), (uint blocks, long sum)) in groups)
        {
            ref GroupEntry group = ref state.Groups[state.Groups.Find(ns, id)];
            Assert.Equal((ns, id, blocks, sum), (group.Namespace, group.Id, group.Blocks, group.Bytes));
            Assert.False(alone.Contains((ns, id)), "the block that names a group is not counted with it");
        }
    }

    private static void CheckEntries(EngineState state, EngineCounters counters)
    {
        long count = 0, ssd = 0, ssdBytes = 0, expiring = 0, pinned = 0, keyBytes = 0, device = 0;
        for (uint number = 1; number < state.Index.Top; number++)
        {
            ref BlockEntry entry = ref state.Index[number];
            if (entry.Namespace == BlockEntry.FreeNamespace) continue;
            count++;
            keyBytes += entry.KeyLength;
            Assert.Equal(number, state.Index.Find(entry.Namespace, entry.Id));
            Assert.True(entry.Slot >= 0 || !entry.Address.IsNone, "a block that is nowhere");
            if (!entry.Address.IsNone) (ssd, ssdBytes) = (ssd + 1, ssdBytes + entry.Length);
            if (entry.Expiry != 0) expiring++;
            if (entry.Has(EntryFlags.Pinned)) pinned++;
            if (entry.Has(EntryFlags.OnDevice)) device++;
        }

        Assert.Equal(count, state.Index.Count);
        Assert.Equal((ssd, ssdBytes, expiring), (counters.SsdBlocks, counters.SsdBytes, counters.ExpiringBlocks));
        Assert.Equal((pinned, device), (state.Pins.Count, counters.DeviceBlocks));
        Assert.True(keyBytes <= state.Keys.KeyBytes, "a key is missing");
        Assert.Equal(count, Enumerable.Range(0, state.Namespaces.Count).Sum(ns => state.Namespaces.Blocks((ushort)ns)));
    }
}
