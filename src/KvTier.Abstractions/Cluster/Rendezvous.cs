using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace KvTier;

/// <summary>
/// The arithmetic of weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by the logarithmic method). Client and silo compute
/// it alike, in every language.
/// </summary>
public static class Rendezvous
{
    /// <summary>The seed of a silo: the first 8 bytes of SHA-256 of its name in UTF-8, little-endian.</summary>
    public static ulong SeedOf(string name)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(name), digest);
        return BinaryPrimitives.ReadUInt64LittleEndian(digest);
    }

    /// <summary>64 bits that belong to a silo and a group: <c>mix(mix(seed ^ high) ^ low)</c>.</summary>
    public static ulong Hash(ulong seed, BlockId group) => Mix(Mix(seed ^ group.High) ^ group.Low);

    /// <summary>
    /// The score of a silo for a group, <c>weight / -ln(u)</c> with <c>u = (hash / 2^12 + 0.5) / 2^52</c>, which a double holds exactly: no
    /// score is infinite. The highest one owns the group.
    /// </summary>
    public static double Score(ulong hash, double weight) => weight / -Math.Log(((hash >> 12) + 0.5) * (1.0 / (1UL << 52)));

    /// <summary>The finalizer of SplitMix64 (Steele, Lea and Flood 2014).</summary>
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15UL;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
        return value ^ (value >> 31);
    }
}
