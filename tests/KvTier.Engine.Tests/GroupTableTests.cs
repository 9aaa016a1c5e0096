namespace KvTier.Engine.Tests;

public sealed class GroupTableTests
{
    [Fact]
    public void Table_RandomGroups_FindsThemAndUsesOrdinalsAgain()
    {
        using var table = new GroupTable();
        var random = new Random(5);
        var reference = new Dictionary<(ushort, BlockId), (uint Ordinal, int Blocks)>();
        int most = 0;
        for (int step = 0; step < 200_000; step++)
        {
            // The same ids in two namespaces; grows to some thousand groups and shrinks again, twice.
            (ushort, BlockId) key = ((ushort)random.Next(2), IndexProbe.IdOf(random.Next(4000)));
            bool grows = step / 50_000 % 2 == 0;
            if (random.Next(4) == 0 != grows)
            {
                uint ordinal = table.Find(key.Item1, key.Item2);
                Assert.Equal(reference.GetValueOrDefault(key).Ordinal, ordinal);
                if (ordinal == 0) ordinal = table.Add(key.Item1, key.Item2);
                table.AddBlock(ordinal, 10);
                reference[key] = (ordinal, reference.GetValueOrDefault(key).Blocks + 1);
            }
            else if (reference.TryGetValue(key, out (uint Ordinal, int Blocks) known))
            {
                Assert.Equal(10 * known.Blocks, table[known.Ordinal].Bytes);
                table.RemoveBlock(known.Ordinal, 10);
                if (known.Blocks == 1) reference.Remove(key);
                else reference[key] = (known.Ordinal, known.Blocks - 1);
            }

            most = Math.Max(most, reference.Count);
        }

        Assert.Equal(reference.Count, table.Count);
        foreach (((ushort ns, BlockId id), (uint ordinal, int blocks)) in reference)
        {
            Assert.Equal(ordinal, table.Find(ns, id));
            Assert.Equal((id, ns, (uint)blocks), (table[ordinal].Id, table[ordinal].Namespace, table[ordinal].Blocks));
        }

        Assert.Equal((uint)most + 1, table.Top);
        Assert.InRange(table.NativeBytes, 36L * most, (36L * most) + 64);
    }

    [Fact]
    public void Table_LargestGroup_CountsBytesPast32Bits()
    {
        using var table = new GroupTable();
        uint ordinal = table.Add(ushort.MaxValue - 1, IndexProbe.IdOf(1));
        for (int i = 0; i < 1000; i++) table.AddBlock(ordinal, 64 << 20);
        Assert.Equal(1000L * (64 << 20), table[ordinal].Bytes);
        Assert.Equal(ushort.MaxValue - 1, table[ordinal].Namespace);
        for (int i = 0; i < 1000; i++) table.RemoveBlock(ordinal, 64 << 20);
        Assert.Equal(0, table.Count);
        Assert.Equal(0u, table.Find(ushort.MaxValue - 1, IndexProbe.IdOf(1)));
    }

    [Fact]
    public void IndexAndGroups_SequencesOf256Blocks_StayBelow64BytesABlock()
    {
        const int Blocks = 1_000_000;
        const int SequenceBlocks = 256;
        using var index = new BlockIndex();
        using var groups = new GroupTable();
        for (int number = 0; number < Blocks; number++)
        {
            // The runs of a sequence: positions 0, 1 to 3, 4 to 15, 16 to 63, then 64 each.
            int position = number % SequenceBlocks;
            int head = position switch { 0 => 0, < 4 => 1, < 16 => 4, < 64 => 16, _ => position / 64 * 64 };
            uint entry = index.Add(1, IndexProbe.IdOf(number));
            if (position > 0)
            {
                BlockId id = IndexProbe.IdOf(number - position + head);
                uint ordinal = groups.Find(1, id);
                if (ordinal == 0) ordinal = groups.Add(1, id);
                groups.AddBlock(ordinal, 1);
                index.GroupOf(entry) = ordinal;
            }

            if (number > 10_000 && number % 1000 == 0) Assert.InRange((double)(index.NativeBytes + groups.NativeBytes) / number, 52, 64);
        }
    }
}
