namespace KvTier.Silo.Resp;

/// <summary>Where the bytes of an argument are.</summary>
internal enum RespPlace
{
    /// <summary>In the receive buffer.</summary>
    Buffer,

    /// <summary>In a reserved slot of the arena.</summary>
    Slot,

    /// <summary>Nowhere: it was above <see cref="RespLimits.ValueBytesMax"/> or <see cref="RespLimits.ArgumentBytesMax"/>, and was read
    /// and dropped.</summary>
    TooLong,

    /// <summary>Nowhere: the key that goes with the value is above <see cref="RespLimits.KeyBytesMax"/>.</summary>
    KeyTooLong,

    /// <summary>Nowhere: no slot could be freed.</summary>
    NoRoom,

    /// <summary>Nowhere: the silo is shutting down.</summary>
    ShuttingDown,
}
