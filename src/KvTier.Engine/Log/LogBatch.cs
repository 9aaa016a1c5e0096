namespace KvTier.Engine;

/// <summary>Records picked for one round of appends, with copies of their keys; used again for every round.</summary>
internal sealed class LogBatch
{
    /// <summary>Most changes of a round.</summary>
    internal const int ChangesMax = 1024;

    private readonly Change[] changes = new Change[ChangesMax];
    private byte[] keys = new byte[64 << 10];
    private int keyBytes;

    /// <summary>Changes picked.</summary>
    internal int Count { get; private set; }

    /// <summary>Payload bytes picked.</summary>
    internal long Bytes { get; private set; }

    /// <summary>A change of the round.</summary>
    internal ref Change this[int index] => ref changes[index];

    /// <summary>Begins a round.</summary>
    internal void Reset()
    {
        Array.Clear(changes, 0, Count);
        Count = 0;
        Bytes = 0;
        keyBytes = 0;
    }

    /// <summary>Adds a change for which nothing has to be written.</summary>
    internal void AddNothing(long number) => changes[Count++] = new Change { Number = number, Slot = -1 };

    /// <summary>Adds a record.</summary>
    /// <param name="number">The change.</param>
    /// <param name="slot">The slot that is held until the record is appended; -1 for none.</param>
    /// <param name="record">The record, without its key.</param>
    /// <param name="key">Its key.</param>
    internal void Add(long number, int slot, in LogRecord record, ReadOnlySpan<byte> key)
    {
        // Earlier records keep the array they point into.
        if (keyBytes + key.Length > keys.Length)
        {
            keys = new byte[keys.Length * 2];
            keyBytes = 0;
        }

        key.CopyTo(keys.AsSpan(keyBytes));
        LogRecord whole = record with { Key = keys.AsMemory(keyBytes, key.Length) };
        keyBytes += key.Length;
        changes[Count++] = new Change { Number = number, Slot = slot, HasRecord = true, Record = whole };
        Bytes += record.Payload.Length;
    }

    /// <summary>A change of a round.</summary>
    internal struct Change
    {
        internal long Number;
        internal int Slot;
        internal bool HasRecord;
        internal LogRecord Record;
        internal LogAddress Address;
    }
}
