using System.Buffers;

namespace KvTier.Recall;

/// <summary>
/// Digests of hot sequences in device memory, full segment by full segment, and their scoring there: the dot products of rows with
/// transformed queries. The rest of a score, and segments that are not on the device, are the host's. Thread-safe.
/// </summary>
/// <param name="device">The device, which is not owned; null for none.</param>
/// <param name="space">Its memory.</param>
internal sealed class DeviceDigests(IRecallDevice? device, DeviceSpace space)
{
    private long count;
    private long bytes;
    private long scored;

    /// <summary>Segments on the device.</summary>
    internal long Count => Interlocked.Read(ref count);

    /// <summary>Their bytes.</summary>
    internal long Bytes => Interlocked.Read(ref bytes);

    /// <summary>Rows that the device scored.</summary>
    internal long RowsScored => Interlocked.Read(ref scored);

    /// <summary>True when a device may score what is asked. Best-first search stays on the host: it reads few rows, and which follows from
    /// what it has read.</summary>
    internal bool Serves(DigestIndex digest, in SelectRequest request) =>
        !space.IsDown && digest is ChunkIndex && !TokenLimit.TakesAll(request, digest.Tokens) && !NodeSearch.Serves(request.Selector);

    /// <summary>Scores what of a digest is on the device. A failure is noted; the host scores then.</summary>
    /// <returns>The scores, good until this thread asks again; null when there are none.</returns>
    internal DeviceScores? Score(DigestIndex digest, in SelectRequest request)
    {
        if (digest is not ChunkIndex chunks) return null;
        ChunkView view = chunks.View;
        DeviceScores scores = DeviceScores.Current;
        if (!Use(view, scores)) return null;
        KvError? error = scores.Score(device!, view, request, chunks.KvHeads);
        foreach (DeviceSegment segment in scores.Segments) space.EndUse(segment);
        if (error is not null) space.NoteFailure(error);
        Interlocked.Add(ref scored, scores.Rows);
        return error is null && scores.Rows > 0 ? scores : null;
    }

    /// <summary>Copies full segments of a digest up. The caller has the turn of its sequence.</summary>
    /// <param name="digest">The digest.</param>
    /// <param name="heat">How often it was scored, older times counting less.</param>
    /// <param name="owner">Whose figure of device bytes grows.</param>
    /// <param name="most">Copies at most.</param>
    /// <returns>Copies made.</returns>
    internal int MoveUp(DigestIndex digest, int heat, RecallMemory owner, int most)
    {
        if (space.IsDown || digest is not ChunkIndex { View: var view }) return 0;
        int copies = 0;
        for (int s = 0; s < view.Store.Count - 1 && copies < most; s++)
        {
            if (view.Store[s].OnDevice is not null) continue;
            if (!TryAdd(view.Store[s], heat, owner)) break;
            copies++;
        }

        return copies;
    }

    private bool TryAdd(DigestSegment segment, int heat, RecallMemory owner)
    {
        if (segment.Layout.Bytes > Math.Min(space.BytesMax, Array.MaxLength)) return false;
        int length = (int)segment.Layout.Bytes;
        // By way of managed memory: after an error the device may yet read it, and the collector keeps what is pinned.
        byte[] staged = ArrayPool<byte>.Shared.Rent(length);
        segment.Read(staged);
        if (!space.TryCopy(staged.AsMemory(0, length), heat, out DevicePlace place)) return false;
        ArrayPool<byte>.Shared.Return(staged);
        lock (space.Gate)
        {
            // A fork that shares the segment may have been faster.
            if (space.IsDown || segment.OnDevice is not null)
            {
                space.Free(place);
                return true;
            }

            var added = new DeviceSegment(this, space, segment) { Place = place, Heat = heat, Owner = owner };
            segment.OnDevice = added;
            space.Add(added);
            Note(1, place.Capacity);
            return true;
        }
    }

    /// <summary>Counts segments that came or went.</summary>
    internal void Note(int segments, long change)
    {
        Interlocked.Add(ref count, segments);
        Interlocked.Add(ref bytes, change);
    }

    private bool Use(in ChunkView view, DeviceScores scores)
    {
        scores.Clear();
        lock (space.Gate)
        {
            // The last segment is still written to.
            for (int s = 0; s < view.Store.Count - 1; s++)
            {
                if (view.Store[s].OnDevice is not { } there) continue;
                there.Uses++;
                there.Heat++;
                scores.Add(view.Store[s], there);
            }
        }

        return scores.Segments.Count > 0;
    }
}
