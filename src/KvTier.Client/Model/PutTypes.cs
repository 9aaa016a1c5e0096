namespace KvTier.Client;

/// <summary>A block to store.</summary>
/// <param name="Key">The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes.</param>
/// <param name="Payload">The bytes; must not change until the put has completed.</param>
/// <param name="Codec">Stored form of the payload; 0 is raw.</param>
/// <param name="Group">Its group, as <see cref="BlockGroups.Fill"/> gives it to the blocks of a prefix; the default value stands for its
/// own id.</param>
public readonly record struct PutBlock(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Payload, byte Codec = 0, BlockId Group = default);

/// <summary>How a put is done. The default value asks for the defaults.</summary>
public readonly record struct PutOptions
{
    /// <summary>How far the put must have come when it is acknowledged. Default <see cref="AckLevel.Memory"/>.</summary>
    public AckLevel Ack { get; init; }

    /// <summary>True to replace blocks that are there; false leaves them. Default false.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Time to live, rounded up to whole ms; zero for none. Default zero.</summary>
    public TimeSpan TimeToLive { get; init; }

    /// <summary>How long the put may take; zero for the client's <see cref="KvTierClientOptions.RequestTimeout"/>. Default zero.</summary>
    public TimeSpan Timeout { get; init; }
}

/// <summary>What became of one block of a put. The numbers are those of the protocol.</summary>
public enum PutStatus : byte
{
    /// <summary>It was stored.</summary>
    Stored = 0,

    /// <summary>It was there already.</summary>
    Present = 1,

    /// <summary>It was refused; <see cref="PutSummary.Error"/> says why the first refused one was.</summary>
    Refused = 2,

    /// <summary>Another silo of the cluster owns its group; nothing was done. A client of the cluster follows by itself.</summary>
    Moved = 3,
}

/// <summary>What became of a put.</summary>
/// <param name="Stored">Blocks stored.</param>
/// <param name="Present">Blocks that were there already.</param>
/// <param name="Refused">Blocks refused.</param>
/// <param name="Error">Why the first refused block was refused, or why <c>ack=ssd</c> or <c>ack=replica</c> could not be given (then stored
/// blocks are in the memory of one silo only); null when every block is stored or present as durably as was asked.</param>
/// <param name="Moved">Blocks that belong to another silo of the cluster.</param>
public readonly record struct PutSummary(int Stored, int Present, int Refused, KvError? Error, int Moved = 0)
{
    /// <summary>True when every block is there, as durable as was asked.</summary>
    public bool AllAcknowledged => Error is null && Refused == 0 && Moved == 0;
}
