namespace KvTier.Client.Local;

/// <summary>Copies bytes and computes their CRC on the way, in pieces that stay in the processor's nearest caches.</summary>
internal static class PieceCopy
{
    private const int PieceBytes = 16 * 1024;

    /// <summary>Copies.</summary>
    /// <returns>CRC32C of what arrived in the destination.</returns>
    public static uint Copy(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        uint crc = 0;
        while (source.Length > 0)
        {
            int length = Math.Min(PieceBytes, source.Length);
            source[..length].CopyTo(destination);
            crc = Crc32C.Append(crc, destination[..length]);
            source = source[length..];
            destination = destination[length..];
        }

        return crc;
    }
}
