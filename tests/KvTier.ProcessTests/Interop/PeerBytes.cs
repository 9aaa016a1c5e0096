using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace KvTier.ProcessTests.Interop;

/// <summary>Bytes of blocks that follow from key, salt and length, as <c>interop_peer.py</c> makes them too.</summary>
internal static class PeerBytes
{
    /// <summary>Sequences of a small model: two layers of two KV heads, 16 tokens a block.</summary>
    public static ModelProfile Model { get; } = new()
    {
        Name = "interop",
        Kind = AttentionKind.Gqa,
        Layers = 2,
        KvHeads = 2,
        HeadDim = 16,
        Dtype = Dtype.Float32,
        BlockTokens = 16,
        Rope = new RopeParameters(0),
    };

    /// <summary>A block without form.</summary>
    public static byte[] Of(string key, string salt, int length) => Shake256.HashData(Encoding.UTF8.GetBytes($"{key}/{salt}"), length);

    /// <summary>A block of <see cref="Model"/>: numbers between -0.5 and 0.5, in the order [layer][K,V][head][token][dim].</summary>
    public static float[] FloatsOf(string key, string salt) =>
        [.. Of(key, salt, (int)Model.BlockBytes / sizeof(float)).Select(each => (each / 256f) - 0.5f)];

    /// <summary>The same as bytes.</summary>
    public static byte[] ModelBlock(string key, string salt) => MemoryMarshal.AsBytes<float>(FloatsOf(key, salt)).ToArray();
}
