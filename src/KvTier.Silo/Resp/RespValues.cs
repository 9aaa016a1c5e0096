using KvTier.Engine;

namespace KvTier.Silo.Resp;

/// <summary>A value that lies in a reserved slot and waits for its command to be carried out.</summary>
/// <param name="Reservation">The slot.</param>
/// <param name="Crc">CRC32C of the value, computed while it was received.</param>
/// <param name="ExpiryUnixMs">Expiry that the reservation was made with.</param>
internal readonly record struct RespValue(Reservation Reservation, uint Crc, long ExpiryUnixMs);

/// <summary>The values of the command at hand. Those that the command does not seal are given back when it ends, however it ends.</summary>
internal sealed class RespValues(BlockEngine engine)
{
    private readonly List<RespValue> values = [];
    private int open;

    /// <summary>Adds a value.</summary>
    /// <returns>Its position.</returns>
    public int Add(RespValue value)
    {
        values.Add(value);
        open++;
        return values.Count - 1;
    }

    /// <summary>Position of the value added last.</summary>
    public int Last => values.Count - 1;

    /// <summary>Sets the CRC of a value whose bytes have all come.</summary>
    public void SetCrc(int index, uint crc) => values[index] = values[index] with { Crc = crc };

    /// <summary>The value, and its reservation's slot.</summary>
    public RespValue this[int index] => values[index];

    /// <summary>Seals a value: the block is found from now on.</summary>
    /// <returns>False when the reservation was revoked.</returns>
    public bool TrySeal(int index)
    {
        RespValue value = values[index];
        values[index] = default;
        open--;
        return engine.Seal(value.Reservation, value.Crc, out _) == SealStatus.Stored;
    }

    /// <summary>Gives back what was not sealed.</summary>
    public void Clear()
    {
        if (values.Count == 0) return;
        foreach (RespValue value in values)
        {
            if (open == 0) break;
            if (value == default) continue;
            engine.Abort(value.Reservation);
            open--;
        }

        values.Clear();
        open = 0;
    }
}
