using System.Text;

namespace KvTier;

/// <summary>
/// Groups: the units of placement. All blocks of a group live on one silo. The group of a block is the id of the head of its run, and the
/// runs of a prefix begin at positions 0, 1, 4, 16, 64, 128, 192 and so on: prompts that begin alike part soon, and no run is
/// longer than 64 blocks. A block that is stored outside of a prefix is a group of its own.
/// </summary>
public static class BlockGroups
{
    /// <summary>Longest run, in blocks.</summary>
    public const int RunBlocksMax = 64;

    /// <summary>Position of the head of the run that a position of a prefix lies in.</summary>
    public static int HeadOf(int position)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        return position switch
        {
            >= RunBlocksMax => position / RunBlocksMax * RunBlocksMax,
            >= 16 => 16,
            >= 4 => 4,
            >= 1 => 1,
            _ => 0,
        };
    }

    /// <summary>Writes the group of every block of a prefix.</summary>
    /// <param name="ids">The blocks in order, from position 0.</param>
    /// <param name="groups">Takes as many groups.</param>
    public static void Fill(ReadOnlySpan<BlockId> ids, Span<BlockId> groups)
    {
        for (int i = 0; i < ids.Length; i++) groups[i] = ids[HeadOf(i)];
    }

    /// <summary>The group whose owner is the owner of a sequence: that of its name.</summary>
    public static BlockId OfSequence(NamespaceId ns, string name) => BlockId.Compute(ns, Encoding.UTF8.GetBytes("sequence/" + name));
}
