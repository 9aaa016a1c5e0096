namespace KvTier.Recall;

/// <summary>Finds a chunk's peaks: tokens whose keys lie far from the others', as a needle's does.</summary>
internal static class PeakTokens
{
    /// <summary>Moves the token whose key is farthest from the mean to the end; the others keep their order.</summary>
    /// <param name="scratch">Keys and values, all finite.</param>
    /// <param name="tokens">Tokens to look at; of equally far ones the first is taken.</param>
    internal static void MoveFarthestToEnd(ChunkScratch scratch, int tokens)
    {
        int dim = scratch.Mean.Length;
        Span<float> keys = scratch.Keys[..(tokens * dim)];
        KeyStatistics.Mean(keys, tokens, scratch.Mean);
        int farthest = 0;
        float most = -1;
        for (int t = 0; t < tokens; t++)
        {
            float distance = RowMath.SquaredDistance(keys.Slice(t * dim, dim), scratch.Mean);
            if (!(distance > most)) continue;
            most = distance;
            farthest = t;
        }

        MoveToEnd(keys, farthest, scratch.Mean);
        MoveToEnd(scratch.Values[..(tokens * dim)], farthest, scratch.Mean);
    }

    private static void MoveToEnd(Span<float> rows, int row, Span<float> room)
    {
        Span<float> moved = rows.Slice(row * room.Length, room.Length);
        moved.CopyTo(room);
        rows[((row + 1) * room.Length)..].CopyTo(rows[(row * room.Length)..]);
        room.CopyTo(rows[^room.Length..]);
    }
}
