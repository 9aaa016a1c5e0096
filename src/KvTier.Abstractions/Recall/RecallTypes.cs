namespace KvTier;

/// <summary>What recall answers. The numbers are part of the wire protocol.</summary>
public enum RecallMode : byte
{
    /// <summary>The ids of the units chosen.</summary>
    Ids = 1,

    /// <summary>The ids, and the keys and values of those that the caller does not hold.</summary>
    Gather = 2,

    /// <summary>The attention over what was chosen: o and lse, fp32, for each query head.</summary>
    Attend = 3,
}

/// <summary>Order of the rows of a gather. The numbers are part of the wire protocol. n is the largest number of tokens that a KV head of
/// the item gets; heads with fewer are filled up with zeros.</summary>
public enum GatherLayout : byte
{
    /// <summary><c>[K,V][Hkv][n][D]</c>.</summary>
    KvHeadToken = 1,

    /// <summary><c>[Hkv][K,V][n][D]</c>.</summary>
    HeadKvToken = 2,

    /// <summary><c>[K,V][n][Hkv][D]</c>.</summary>
    KvTokenHead = 3,
}

/// <summary>How the dimensions of a key pair up for rotation. The numbers are part of the wire protocol and of the disk format.</summary>
public enum RopePairing : byte
{
    /// <summary>Dimension j pairs with j + rotary/2 (Llama, Qwen: rotate-half).</summary>
    Half = 1,

    /// <summary>Dimension 2j pairs with 2j + 1 (GPT-J).</summary>
    Interleaved = 2,
}

/// <summary>
/// How keys that are stored before rotation are to be rotated: channel pair j of a token at position p turns by
/// p / ScalingFactor · Theta^(-2j / RotaryDim) (RoFormer; linear position scaling).
/// </summary>
/// <param name="Theta">Base.</param>
/// <param name="ScalingFactor">Divides positions; 1 for none.</param>
/// <param name="RotaryDim">Leading dimensions that rotate, even; 0 for all.</param>
/// <param name="Pairing">How they pair up.</param>
/// <param name="FirstPosition">Position of the sequence's first token.</param>
public readonly record struct RopeRotation(double Theta, double ScalingFactor, int RotaryDim, RopePairing Pairing, long FirstPosition);

/// <summary>A run of tokens of a sequence that could not be read, and why.</summary>
/// <param name="FirstToken">The first token.</param>
/// <param name="Tokens">How many.</param>
/// <param name="Reason">Why.</param>
public readonly record struct MissingTokens(long FirstToken, int Tokens, MissReason Reason);

/// <summary>What one item of a recall cost.</summary>
/// <param name="UnitsScored">Units scored, in all KV heads; inner nodes of a tree counted.</param>
/// <param name="DigestBytes">Bytes of digests read.</param>
/// <param name="KvBytes">Bytes of keys and values read.</param>
/// <param name="SsdBytes">Bytes read from the SSD for it.</param>
/// <param name="HotHits">Chunks that the hot set had.</param>
/// <param name="HotMisses">Chunks that it had not.</param>
/// <param name="Reused">True when an earlier choice was used again.</param>
/// <param name="Certified">True when the choice is certain to be the best by its scores (best-first search ended early, or every unit was
/// scored).</param>
public readonly record struct RecallCost(
    long UnitsScored, long DigestBytes, long KvBytes, long SsdBytes, long HotHits, long HotMisses, bool Reused, bool Certified);
