namespace KvTier.Recall;

/// <summary>
/// When each block of a sequence was picked last, in recalls of the sequence. Blocks that were not picked for
/// <see cref="CoolAfter"/> recalls are named once, so that the engine lets them go first.
/// </summary>
internal sealed class PickHistory
{
    /// <summary>Recalls without a pick after which a block is cold. A decode step of one layer is one recall.</summary>
    internal const int CoolAfter = 512;

    /// <summary>Recalls after which all heat halves.</summary>
    private const int HalveAfter = 256;

    private const long Cooled = -1;
    private long[] pickedAt = [];
    private int[] heat = [];
    private int known;

    /// <summary>Recalls so far.</summary>
    internal long Recalls { get; private set; }

    /// <summary>A recall begins.</summary>
    /// <param name="blocks">Blocks that the sequence has.</param>
    internal void Begin(int blocks)
    {
        Recalls++;
        if (Recalls % HalveAfter == 0)
        {
            foreach (ref int value in heat.AsSpan()) value /= 2;
        }

        if (known >= blocks) return;
        if (pickedAt.Length < blocks)
        {
            Array.Resize(ref pickedAt, Math.Max(blocks, 2 * pickedAt.Length));
            Array.Resize(ref heat, pickedAt.Length);
        }

        pickedAt.AsSpan(known, blocks - known).Fill(Recalls);
        known = blocks;
    }

    /// <summary>A block is picked.</summary>
    internal void Pick(int block)
    {
        if (pickedAt[block] != Recalls || heat[block] == 0) heat[block]++;
        pickedAt[block] = Recalls;
    }

    /// <summary>How often a block was picked, older picks counting less.</summary>
    internal int HeatOf(int block) => heat[block];

    /// <summary>True when the next call of <see cref="TakeCold"/> may name blocks.</summary>
    internal bool IsDue => Recalls % CoolAfter == 0;

    /// <summary>Names the blocks that have become cold.</summary>
    /// <param name="blocks">Blocks that the sequence has.</param>
    /// <param name="cold">Receives their numbers.</param>
    internal void TakeCold(int blocks, List<int> cold)
    {
        for (int block = 0; block < blocks; block++)
        {
            if (pickedAt[block] == Cooled || pickedAt[block] > Recalls - CoolAfter) continue;
            pickedAt[block] = Cooled;
            cold.Add(block);
        }
    }
}
