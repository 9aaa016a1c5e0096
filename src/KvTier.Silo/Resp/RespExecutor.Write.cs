using System.Runtime.CompilerServices;
using KvTier.Engine;

namespace KvTier.Silo.Resp;

/// <summary>Commands that store values.</summary>
internal sealed partial class RespExecutor
{
    /// <summary>Waits for room, no longer than is left of the time since a put began to wait: room that others take each time it comes must
    /// not make the wait endless.</summary>
    private ValueTask<bool> WaitForRoomAsync(int length, long start)
    {
        TimeSpan left = TimeSpan.FromMilliseconds(server.Limits.RoomMs) - server.Time.GetElapsedTime(start);
        return left > TimeSpan.Zero ? Engine.WaitForRoomAsync(length, left) : ValueTask.FromResult(false);
    }

    /// <summary>Makes room for a long value that is about to be received.</summary>
    /// <returns><see cref="RespPlace.Slot"/> with the value added to the list, or why its bytes have to be dropped.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<RespPlace> ReserveAsync(int valueIndex, int length)
    {
        if (!input.IsValue(valueIndex) || length > server.Limits.ValueBytesMax) return RespPlace.TooLong;
        int key = input.Command!.KeyOf(valueIndex);
        if (input.Place(key, out _) != RespPlace.Buffer || input.Length(key) > server.Limits.KeyBytesMax) return RespPlace.KeyTooLong;
        long start = server.Time.GetTimestamp();
        while (true)
        {
            RespPlace place = TryReserve(key, length, 0, out bool wait);
            if (!wait) return place;
            if (!await WaitForRoomAsync(length, start)) return RespPlace.NoRoom;
        }
    }

    private RespPlace TryReserve(int key, int length, long expiryUnixMs, out bool wait)
    {
        var request = new PutRequest
        {
            Namespace = Namespace,
            Id = Id(key),
            Key = Arg(key),
            Length = length,
            ExpiryUnixMs = expiryUnixMs,
            Overwrite = true,
        };
        wait = !Engine.TryBeginPut(request, out PutBegin begin, out Reservation reservation);
        if (wait) return RespPlace.NoRoom;
        if (begin == PutBegin.ShuttingDown) return RespPlace.ShuttingDown;
        if (begin != PutBegin.Reserved) return RespPlace.NoRoom;
        values.Add(new RespValue(reservation, 0, expiryUnixMs));
        return RespPlace.Slot;
    }

    /// <summary>Copies a short value from the receive buffer into a slot.</summary>
    /// <returns>Its position among the values; -1 when an error was written, or when room has to be waited for.</returns>
    private int TryPrepare(int key, int value, long expiryUnixMs, out bool wait)
    {
        ReadOnlySpan<byte> bytes = Arg(value);
        RespPlace place = TryReserve(key, bytes.Length, expiryUnixMs, out wait);
        if (wait) return -1;
        if (place != RespPlace.Slot)
        {
            Refuse(place, value);
            return -1;
        }

        int index = values.Last;
        if (bytes.Length > 0) bytes.CopyTo(Engine.Arena.Slice(values[index].Reservation.Offset, bytes.Length).Span);
        values.SetCrc(index, Crc32C.Compute(bytes));
        return index;
    }

    /// <summary>Writes the error of a value or key that can't be stored.</summary>
    /// <returns>False when all is well.</returns>
    private bool IsRefused(int key, int value)
    {
        if (input.Length(key) > server.Limits.KeyBytesMax)
        {
            Refuse(RespPlace.KeyTooLong, value, key);
            return true;
        }

        RespPlace place = input.Place(value, out _);
        if (place == RespPlace.Buffer && input.Length(value) > server.Limits.ValueBytesMax) place = RespPlace.TooLong;
        if (place is RespPlace.Buffer or RespPlace.Slot) return false;
        Refuse(place, value, key);
        return true;
    }

    private void Refuse(RespPlace place, int value, int key = 1)
    {
        switch (place)
        {
            case RespPlace.TooLong:
                output.Error("ERR " + KvError.LimitExceeded("value bytes", input.Length(value), server.Limits.ValueBytesMax).Message);
                break;
            case RespPlace.KeyTooLong:
                output.Error("ERR " + KvError.LimitExceeded("key bytes", input.Length(key), server.Limits.KeyBytesMax).Message);
                break;
            case RespPlace.ShuttingDown:
                output.Error("ERR ShuttingDown: the silo takes no more values");
                break;
            default:
                output.Raw("-OOM command not allowed when used memory > 'maxmemory'.\r\n"u8);
                break;
        }
    }

    private ValueTask StoreAsync(in SetPlan plan)
    {
        if (IsRefused(plan.Key, plan.Value)) return default;
        if (plan is { Nx: true, Get: false } && IsHere(Engine.Describe(Namespace, Id(plan.Key))))
        {
            // Without this a SET NX that fails would push other blocks out for a value that nobody stores.
            Rejected(plan);
            return default;
        }

        if (input.Place(plan.Value, out int slot) == RespPlace.Buffer)
        {
            slot = TryPrepare(plan.Key, plan.Value, plan.ExpiryUnixMs, out bool wait);
            if (wait) return StoreWhenRoomAsync(plan);
            if (slot < 0) return default;
        }

        return CommitAsync(plan, slot);
    }

    private async ValueTask StoreWhenRoomAsync(SetPlan plan)
    {
        int slot = await PrepareWhenRoomAsync(plan.Key, plan.Value, plan.ExpiryUnixMs);
        if (slot >= 0) await CommitAsync(plan, slot);
    }

    private async ValueTask<int> PrepareWhenRoomAsync(int key, int value, long expiryUnixMs)
    {
        long start = server.Time.GetTimestamp();
        while (true)
        {
            int slot = TryPrepare(key, value, expiryUnixMs, out bool wait);
            if (!wait) return slot;
            if (await WaitForRoomAsync(input.Length(value), start)) continue;
            Refuse(RespPlace.NoRoom, value);
            return -1;
        }
    }

    private ValueTask CommitAsync(in SetPlan plan, int slot)
    {
        if (plan.Get) return CommitGetAsync(plan, slot);
        SetOutcome outcome;
        lock (server.Gate) outcome = Commit(plan, slot);
        if (outcome == SetOutcome.Rejected) Rejected(plan);
        else if (outcome == SetOutcome.Lost) Lost();
        else if (plan.NumberReply) output.Integer(1);
        else output.Ok();
        return default;
    }

    /// <summary>Stores and returns what was there before. When that is on SSD it is read outside the gate and then looked up again, because
    /// another client may have replaced it meanwhile.</summary>
    private async ValueTask CommitGetAsync(SetPlan plan, int slot)
    {
        BlockId id = Id(plan.Key);
        long start = server.Time.GetTimestamp();
        LeaseResult read = new(MissReason.Deadline, default);
        while (true)
        {
            BlockLease old;
            MissReason reason;
            SetOutcome outcome = SetOutcome.Rejected;
            lock (server.Gate)
            {
                reason = Engine.TryLease(Namespace, id, out old);
                if (reason is not (MissReason.Deadline or MissReason.ShuttingDown)) outcome = Commit(plan, slot);
            }

            // Held until here, so that what was read for this command has not left host memory again before it is looked at.
            if (read.Reason == MissReason.None) Engine.Release(read.Lease);
            if (reason == MissReason.Deadline && server.Time.GetElapsedTime(start) < ReadDeadline)
            {
                read = await Engine.LeaseAsync(Namespace, id, ReadDeadline - server.Time.GetElapsedTime(start));
                if (read.Reason != MissReason.Deadline) continue;
            }

            if (outcome == SetOutcome.Lost)
            {
                if (reason == MissReason.None) Engine.Release(old);
                Lost();
            }
            else if (reason == MissReason.None) await ReplyAsync(old, 0, old.Length);
            else Miss(reason);
            return;
        }
    }

    /// <summary>Checks the conditions and seals the value. Under the gate.</summary>
    private SetOutcome Commit(in SetPlan plan, int slot)
    {
        BlockId id = Id(plan.Key);
        long expiry = plan.ExpiryUnixMs;
        if (plan.Nx || plan.Xx || plan.KeepTtl)
        {
            BlockInfo info = Engine.Describe(Namespace, id);
            bool here = IsHere(info);
            if ((plan.Nx && here) || (plan.Xx && !here)) return SetOutcome.Rejected;
            if (plan.KeepTtl && here) expiry = info.ExpiryUnixMs;
        }

        long reserved = values[slot].ExpiryUnixMs;
        if (!values.TrySeal(slot)) return SetOutcome.Lost;
        if (expiry != reserved) Engine.SetExpiry(Namespace, id, expiry);
        return SetOutcome.Stored;
    }

    private void Rejected(in SetPlan plan)
    {
        if (plan.NumberReply) output.Integer(0);
        else output.Null();
    }

    private void Lost() => output.Error("ERR LeaseExpired: the slot reserved for the value was taken back; send the value again");

    private async ValueTask MSetAsync()
    {
        if (Count % 2 == 0)
        {
            WrongArity("mset");
            return;
        }

        for (int key = 1; key < Count; key += 2)
        {
            if (IsRefused(key, key + 1)) return;
        }

        int[] slots = System.Buffers.ArrayPool<int>.Shared.Rent(Count / 2);
        try
        {
            for (int key = 1; key < Count; key += 2)
            {
                if (input.Place(key + 1, out int slot) == RespPlace.Buffer) slot = await PrepareWhenRoomAsync(key, key + 1, 0);
                if (slot < 0) return;
                slots[key / 2] = slot;
            }

            if (SealAll(slots)) output.Ok();
            else Lost();
        }
        finally
        {
            System.Buffers.ArrayPool<int>.Shared.Return(slots);
        }
    }

    private bool SealAll(ReadOnlySpan<int> slots)
    {
        bool all = true;
        lock (server.Gate)
        {
            for (int key = 1; key < Count; key += 2) all &= values.TrySeal(slots[key / 2]);
        }

        return all;
    }
}
