namespace KvTier.Engine;

/// <summary>Putting blocks.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Begins a put if that needs no waiting.</summary>
    /// <param name="request">The block.</param>
    /// <param name="begin">The outcome.</param>
    /// <param name="reservation">The slot, when <paramref name="begin"/> is <see cref="PutBegin.Reserved"/>. Write <c>Arena.Slice(Offset,
    /// Length)</c>.</param>
    /// <returns>False when no slot is free now: call <see cref="WaitForRoomAsync"/>, then try again.</returns>
    /// <exception cref="ArgumentException">Namespace, key or length are not within the limits,
    /// which the caller must have checked.</exception>
    public bool TryBeginPut(in PutRequest request, out PutBegin begin, out Reservation reservation)
    {
        Check(request);
        ulong hash = BlockIndex.Hash(request.Namespace, request.Id);
        reservation = default;
        lock (state.Gate)
        {
            if (state.Draining)
            {
                begin = PutBegin.ShuttingDown;
                return true;
            }

            uint number = request.Overwrite ? 0 : state.FindLive(request.Namespace, request.Id, hash);
            if (number != 0)
            {
                state.Touch(ref state.Index[number]);
                state.WriteAgain(number);
                state.Counters.PutsPresent++;
                begin = PutBegin.Present;
                return true;
            }

            bool reserved = TryReserve(request, hash, out reservation);
            begin = reserved ? PutBegin.Reserved : PutBegin.HostFull;
            return reserved;
        }
    }

    /// <summary>Waits until a slot of a length may be free.</summary>
    /// <returns>False when <see cref="EngineOptions.PutWaitMs"/> or the deadline passed first, or when nothing can ever be freed.</returns>
    public ValueTask<bool> WaitForRoomAsync(int lengthBytes, TimeSpan deadline)
    {
        if (lengthBytes > state.Arena.CapacityBytes) return new ValueTask<bool>(false);
        var longest = TimeSpan.FromMilliseconds(state.Options.PutWaitMs);
        return WaitForRoomCoreAsync(lengthBytes, deadline < longest ? deadline : longest);
    }

    /// <summary>Seals a written slot: from now on the block is found. The payload's CRC was checked or computed by the caller.</summary>
    /// <param name="reservation">From <see cref="TryBeginPut"/>.</param>
    /// <param name="payloadCrc">CRC32C of the bytes written.</param>
    /// <param name="ticket">For <see cref="WaitDurableAsync"/>; covers this block and all sealed before.</param>
    public SealStatus Seal(in Reservation reservation, uint payloadCrc, out long ticket)
    {
        lock (state.Gate)
        {
            ticket = state.Ops.Last;
            if (!IsReserved(reservation)) return SealStatus.Unknown;
            PendingPut put = EndPending(reservation.Slot);
            uint number = state.FindLive(put.Namespace, put.Id, put.Fingerprint);
            if (number != 0 && !put.Overwrite)
            {
                state.Keys.Remove(put.Key, put.KeyLength);
                state.Host.Free(reservation.Slot);
                state.WriteAgain(number);
                ticket = state.Ops.Last;
                state.Counters.PutsPresent++;
                return SealStatus.Present;
            }

            if (number == 0) number = AddEntry(put);
            else ReplaceEntry(number, put);
            Store(number, put, reservation.Slot, payloadCrc);
            ticket = state.Ops.Last;
            return SealStatus.Stored;
        }
    }

    /// <summary>Gives a reservation back unsealed.</summary>
    public void Abort(in Reservation reservation)
    {
        lock (state.Gate)
        {
            if (!IsReserved(reservation)) return;
            PendingPut put = EndPending(reservation.Slot);
            state.Keys.Remove(put.Key, put.KeyLength);
            state.Host.Free(reservation.Slot);
        }
    }

    private void Check(in PutRequest request)
    {
        Limits limits = state.Options.Limits;
        if (request.Namespace >= state.Namespaces.Count)
            throw new ArgumentException($"namespace {request.Namespace} is not open", nameof(request));
        if (request.Key.Length > limits.KeyBytesMax)
        {
            throw new ArgumentException($"key has {request.Key.Length} bytes, allowed are {limits.KeyBytesMax}", nameof(request));
        }

        if ((uint)request.Length > (uint)limits.BlockBytesMax)
        {
            throw new ArgumentException($"block has {request.Length} bytes, allowed are {limits.BlockBytesMax}", nameof(request));
        }
    }

    private bool TryReserve(in PutRequest request, ulong hash, out Reservation reservation)
    {
        reservation = default;
        if (!state.Host.TryTake(request.Length, SlotState.Reserved, out int slot)) return false;
        state.Ghost.Wanted(hash);
        var put = new PendingPut
        {
            Id = request.Id,
            Group = request.Group,
            Fingerprint = hash,
            Expiry = request.ExpiryUnixMs,
            Length = request.Length,
            Key = state.Keys.Add(request.Key),
            KeyLength = request.Key.Length,
            Namespace = request.Namespace,
            Codec = request.Codec,
            Overwrite = request.Overwrite,
        };
        ref HostSlot record = ref state.Host.Slots[slot];
        record.Entry = state.Pending.Add(put);
        state.Counters.ReservedSlots++;
        reservation = new Reservation(slot, record.Generation, record.Offset, record.Capacity, request.Length);
        return true;
    }

    private async ValueTask<bool> WaitForRoomCoreAsync(int lengthBytes, TimeSpan timeout)
    {
        Task room;
        lock (state.Gate)
        {
            // A put begun now is answered at once, with PutBegin.ShuttingDown.
            if (state.Draining || state.Host.MayHaveRoom(lengthBytes)) return true;
            room = state.Host.Room.Next;
        }

        return await Waiting.ForAsync(room, timeout, state.Time);
    }

    private bool IsReserved(in Reservation reservation) =>
        !state.Closed
        && state.Host.Slots.IsCurrent(reservation.Slot, reservation.Generation)
        && state.Host.Slots[reservation.Slot].State == SlotState.Reserved;

    private PendingPut EndPending(int slot)
    {
        uint number = state.Host.Slots[slot].Entry;
        PendingPut put = state.Pending[number];
        state.Pending.Remove(number);
        state.Counters.ReservedSlots--;
        return put;
    }

    private uint AddEntry(in PendingPut put)
    {
        uint number = state.Index.Add(put.Namespace, put.Id);
        ref BlockEntry entry = ref state.Index[number];
        entry.Key = put.Key;
        entry.KeyLength = put.KeyLength;
        state.Namespaces.Blocks(put.Namespace)++;
        return number;
    }

    private void ReplaceEntry(uint number, in PendingPut put)
    {
        ref BlockEntry entry = ref state.Index[number];
        state.Keys.Remove(put.Key, put.KeyLength);
        if (entry.Slot >= 0) state.DetachSlot(ref entry);
        state.LeaveDevice(ref entry);
        state.SetAddress(ref entry, LogAddress.None);
        state.RemoveContent(number);
        entry.Flags &= ~(EntryFlags.Hot | EntryFlags.ReadOnce);
    }

    private void Store(uint number, in PendingPut put, int slot, uint payloadCrc)
    {
        ref BlockEntry entry = ref state.Index[number];
        state.SetExpiry(ref entry, put.Expiry);
        state.AddContent(number, put.Length, put.Group);
        entry.Crc = payloadCrc;
        entry.Codec = put.Codec;
        entry.Slot = slot;
        ref HostSlot record = ref state.Host.Slots[slot];
        record.Entry = number;
        record.State = SlotState.Sealed;
        state.Counters.HostBlocks++;
        state.Counters.HostBytes += put.Length;
        state.Counters.Puts++;
        state.Namespaces.Traffic(put.Namespace).Stored++;
        state.Watch?.OnChanged(put.Namespace, put.Id);
        state.Counters.PutBytes += put.Length;
        if (state.HasLog) state.QueueBlock(slot);
        state.Settle(slot);
    }
}
