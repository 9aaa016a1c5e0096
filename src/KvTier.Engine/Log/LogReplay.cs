namespace KvTier.Engine;

/// <summary>Rebuilds the index from the records of the log, oldest first: the newest record of a block wins.</summary>
internal sealed class LogReplay(EngineState state) : ILogRecordSink
{
    /// <inheritdoc/>
    public void OnRecord(in RecoveredRecord record, ReadOnlySpan<byte> key)
    {
        lock (state.Gate)
        {
            if (!state.Namespaces.TryFind(record.Namespace, out ushort ns))
            {
                state.Counters.UnknownNamespaceRecords++;
                return;
            }

            switch (record.Kind)
            {
                case LogRecordKind.Block:
                    Put(ns, record, key);
                    break;
                case LogRecordKind.Tombstone:
                    Delete(ns, record.Id, MissReason.Deleted);
                    break;
                case LogRecordKind.Expiry:
                    Expire(ns, record);
                    break;
                case LogRecordKind.Clear:
                    Clear(ns);
                    break;
            }
        }
    }

    /// <summary>
    /// Drops what has expired, and the values that may have been replaced by a record that is damaged. Only now, as a later record may
    /// have given an expired block more time, or a value anew.
    /// </summary>
    /// <param name="damageEnd">See <see cref="RecoverySummary.DamageEnd"/>.</param>
    internal void Finish(long damageEnd)
    {
        lock (state.Gate)
        {
            if (damageEnd > 0) DropDoubtful(damageEnd);
            for (uint number = 1; number < state.Index.Top && state.Counters.ExpiringBlocks > 0; number++)
            {
                if (state.Index[number].Namespace != BlockEntry.FreeNamespace) state.IsExpired(number);
            }
        }
    }

    /// <summary>
    /// A block that is not to change is right whenever its bytes are. A value that changes is only if nothing newer was lost, and which
    /// values a damaged record held can't be told.
    /// </summary>
    private void DropDoubtful(long damageEnd)
    {
        for (uint number = 1; number < state.Index.Top; number++)
        {
            ref BlockEntry entry = ref state.Index[number];
            if (entry.Namespace == BlockEntry.FreeNamespace || !state.Namespaces.IsMutable(entry.Namespace)) continue;
            if (entry.Address.Value >= damageEnd) continue;
            state.Remove(number, MissReason.Corrupt, tombstone: true);
            state.Counters.DoubtfulValues++;
        }
    }

    private void Put(ushort ns, in RecoveredRecord record, ReadOnlySpan<byte> key)
    {
        uint number = state.Index.Find(ns, record.Id);
        if (number == 0)
        {
            number = state.Index.Add(ns, record.Id);
            state.Index[number].Key = state.Keys.Add(key);
            state.Index[number].KeyLength = key.Length;
            state.Namespaces.Blocks(ns)++;
        }

        ref BlockEntry entry = ref state.Index[number];
        state.SetAddress(ref entry, LogAddress.None);
        state.RemoveContent(number);
        state.AddContent(number, record.Length, record.Group);
        entry.Crc = record.PayloadCrc;
        entry.Codec = record.Codec;
        entry.Flags |= EntryFlags.Traced;
        state.SetExpiry(ref entry, record.ExpiryUnixMs);
        state.SetAddress(ref entry, record.Address);
    }

    private void Expire(ushort ns, in RecoveredRecord record)
    {
        uint number = state.Index.Find(ns, record.Id);
        if (number != 0) state.SetExpiry(ref state.Index[number], record.ExpiryUnixMs);
    }

    private void Clear(ushort ns)
    {
        for (uint number = 1; number < state.Index.Top && state.Namespaces.Blocks(ns) > 0; number++)
        {
            if (state.Index[number].Namespace == ns) state.Remove(number, MissReason.Deleted, tombstone: false);
        }
    }

    private void Delete(ushort ns, BlockId id, MissReason reason)
    {
        uint number = state.Index.Find(ns, id);
        if (number != 0) state.Remove(number, reason, tombstone: false);
    }
}
