using KvTier.Protocol;

namespace KvTier.Silo.Events;

/// <summary>A block of which an engine has said what routers need to know.</summary>
/// <param name="ns">Handle of the namespace.</param>
/// <param name="note">What the engine said.</param>
/// <param name="blockTokens">Tokens of a block.</param>
/// <param name="loraName">Name of the adapter; null for none.</param>
internal sealed class KnownBlock(ushort ns, EventNote note, int blockTokens, string? loraName)
{
    /// <summary>Bytes that an entry takes beside its arrays, nearly.</summary>
    private const int OverheadBytes = 320;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace => ns;

    /// <summary>What the engine said.</summary>
    public EventNote Note => note;

    /// <summary>Tokens of a block.</summary>
    public int BlockTokens => blockTokens;

    /// <summary>Name of the adapter; null for none.</summary>
    public string? LoraName => loraName;

    /// <summary>Tiers that subscribers were told of.</summary>
    public TierSet Told { get; set; }

    /// <summary>Its place among those that are not stored yet; null once they were told of it.</summary>
    public LinkedListNode<KnownBlock>? Waiting { get; set; }

    /// <summary>True when its engine spoke of it again, so that it is awaited even after it has gone.</summary>
    public bool IsRenewed { get; set; }

    /// <summary>Memory it takes, nearly.</summary>
    public int Bytes { get; } =
        OverheadBytes + note.Hash.Length + note.ParentHash.Length + (note.Tokens.Length * sizeof(int)) + note.ExtraKeys.Length;
}
