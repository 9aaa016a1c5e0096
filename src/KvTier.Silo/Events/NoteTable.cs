using System.Diagnostics.CodeAnalysis;
using KvTier.Protocol;

namespace KvTier.Silo.Events;

/// <summary>
/// What engines said of blocks, within a budget of memory. For want of room the oldest notes of blocks that never came go first; what was
/// told to subscribers stays, as it must be revoked some day, and a new note is refused instead. Thread-safe.
/// </summary>
/// <param name="bytesMax">Most bytes, nearly.</param>
internal sealed class NoteTable(long bytesMax)
{
    private readonly Lock gate = new();
    private readonly Dictionary<(ushort Namespace, BlockId Id), KnownBlock> blocks = [];
    private readonly LinkedList<KnownBlock> waiting = new();
    private long bytes, dropped;

    /// <summary>Blocks known.</summary>
    public int Count
    {
        get
        {
            lock (gate) return blocks.Count;
        }
    }

    /// <summary>Memory they take.</summary>
    public long Bytes => Interlocked.Read(ref bytes);

    /// <summary>Notes dropped for want of room.</summary>
    public long Dropped => Interlocked.Read(ref dropped);

    /// <summary>Keeps a note; one of a block that is known changes nothing.</summary>
    /// <returns>False when there is no room.</returns>
    public bool Add(ushort ns, EventNote note, int blockTokens, string? loraName)
    {
        var block = new KnownBlock(ns, note, blockTokens, loraName);
        lock (gate)
        {
            if (blocks.TryGetValue((ns, note.Id), out KnownBlock? known))
            {
                known.IsRenewed = known.Told != TierSet.None;
                return true;
            }

            while (bytes + block.Bytes > bytesMax && waiting.First is { } oldest)
            {
                RemoveLocked(oldest.Value);
                dropped++;
            }

            if (bytes + block.Bytes > bytesMax)
            {
                dropped++;
                return false;
            }

            blocks.Add((ns, note.Id), block);
            block.Waiting = waiting.AddLast(block);
            bytes += block.Bytes;
            return true;
        }
    }

    /// <summary>True when an engine has spoken of a block.</summary>
    public bool Knows(ushort ns, BlockId id)
    {
        lock (gate) return blocks.ContainsKey((ns, id));
    }

    /// <summary>Finds a block.</summary>
    public bool TryFind(ushort ns, BlockId id, [NotNullWhen(true)] out KnownBlock? block)
    {
        lock (gate) return blocks.TryGetValue((ns, id), out block);
    }

    /// <summary>Notes what subscribers are told; a block that is nowhere any more is forgotten.</summary>
    /// <returns>False when its note went for want of room since it was found: nobody could revoke what would be told of it.</returns>
    public bool Tell(KnownBlock block, TierSet tiers)
    {
        lock (gate)
        {
            if (!blocks.TryGetValue((block.Namespace, block.Note.Id), out KnownBlock? kept) || kept != block) return false;
            block.Told = tiers;
            if (tiers == TierSet.None)
            {
                // It may have been stored again already, by a put that came with the second note.
                if (block.IsRenewed) block.Waiting = waiting.AddLast(block);
                else RemoveLocked(block);
                block.IsRenewed = false;
                return true;
            }

            if (block.Waiting is null) return true;
            waiting.Remove(block.Waiting);
            block.Waiting = null;
            return true;
        }
    }

    /// <summary>Every block known, for looking at all of them again.</summary>
    public (ushort Namespace, BlockId Id)[] Keys()
    {
        lock (gate) return [.. blocks.Keys];
    }

    private void RemoveLocked(KnownBlock block)
    {
        if (!blocks.Remove((block.Namespace, block.Note.Id))) return;
        bytes -= block.Bytes;
        if (block.Waiting is null) return;
        waiting.Remove(block.Waiting);
        block.Waiting = null;
    }
}
