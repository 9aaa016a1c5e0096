using System.Security.Cryptography;
using System.Text;

namespace KvTier.Silo;

/// <summary>Compares tokens in a time that says nothing about where, or whether in length, they differ.</summary>
internal sealed class TokenCheck(string? expected)
{
    private readonly byte[]? expectedHash = expected is null ? null : Hash(expected);

    /// <summary>True when no token is asked for, or when this is the one.</summary>
    public bool Accepts(string? token) =>
        expectedHash is null || (token is not null && CryptographicOperations.FixedTimeEquals(Hash(token), expectedHash));

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
