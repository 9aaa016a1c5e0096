namespace KvTier.Engine;

/// <summary>What a victim order asks about a slot before it names it.</summary>
internal interface IVictimCheck
{
    /// <summary>True when the slot's block may leave host memory now.</summary>
    bool MayGo(int slot);

    /// <summary>The 64-bit hash of the identity of the slot's block.</summary>
    ulong Fingerprint(int slot);
}

/// <summary>The order in which blocks leave host memory. Not thread-safe; called under the engine's lock.</summary>
internal interface IVictimOrder : IDisposable
{
    /// <summary>Slots in the order.</summary>
    long Count { get; }

    /// <summary>Adds a slot.</summary>
    /// <param name="slot">A slot that is not in the order.</param>
    /// <param name="fingerprint">The 64-bit hash of its block's identity.</param>
    /// <param name="cold">True for a block that was read from the log for the first time, which need not push out warmer ones.</param>
    void Insert(int slot, ulong fingerprint, bool cold);

    /// <summary>The slot's block was used.</summary>
    void Touch(int slot);

    /// <summary>The slot's block is not wanted: it goes before those that were not cooled, unless it is used again.</summary>
    void Cool(int slot);

    /// <summary>Takes a slot out.</summary>
    void Remove(int slot);

    /// <summary>Takes out the slot that should go first among those that may.</summary>
    /// <returns>The slot; -1 when none may go.</returns>
    int TakeVictim(IVictimCheck check);
}
