using System.Runtime.InteropServices;

namespace KvTier.Engine.Tests;

public sealed class BlockIndexTests
{
    [Fact]
    public void BlockEntry_EveryField_KeepsItsValueBesideTheOthers()
    {
        Assert.Equal(48, Marshal.SizeOf<BlockEntry>());
        Assert.Equal(64, Marshal.SizeOf<Bucket>());
        var random = new Random(3);
        for (int round = 0; round < 1000; round++)
        {
            var entry = default(BlockEntry);
            var ns = (ushort)random.Next(ushort.MaxValue);
            long expiry = random.NextInt64(BlockEntry.ExpiryMax + 1);
            var address = new LogAddress(random.NextInt64(1L << 40) * 512);
            int keyLength = random.Next(513);
            var flags = (EntryFlags)random.Next(16);
            var codec = (byte)random.Next(256);
            (entry.Flags, entry.Codec, entry.KeyLength, entry.Address) =
                ((EntryFlags)63, 255, 1023, new LogAddress(((1L << 40) - 1) * 512));
            (entry.Expiry, entry.Namespace) = (expiry, ns);
            (entry.KeyLength, entry.Address, entry.Flags, entry.Codec) = (keyLength, address, flags, codec);
            Assert.Equal((ns, expiry, address, keyLength), (entry.Namespace, entry.Expiry, entry.Address, entry.KeyLength));
            Assert.Equal((flags, codec), (entry.Flags, entry.Codec));
        }
    }

    [Fact]
    public void Index_RandomAddsAndRemoves_AgreesWithADictionary()
    {
        using var index = new BlockIndex();
        var random = new Random(9);
        var reference = new Dictionary<(ushort, BlockId), uint>();
        var keys = new List<(ushort, BlockId)>();
        for (int step = 0; step < 300_000; step++)
        {
            if (reference.Count == 0 || random.Next(5) > 1)
            {
                var key = ((ushort)random.Next(3), new BlockId((ulong)random.Next(50), (ulong)random.Next(100_000)));
                Assert.Equal(reference.GetValueOrDefault(key), index.Find(key.Item1, key.Item2));
                if (!reference.ContainsKey(key))
                {
                    reference.Add(key, index.Add(key.Item1, key.Item2));
                    keys.Add(key);
                }
            }
            else
            {
                int at = random.Next(keys.Count);
                index.Remove(reference[keys[at]]);
                reference.Remove(keys[at]);
                keys[at] = keys[^1];
                keys.RemoveAt(keys.Count - 1);
            }
        }

        Assert.Equal(reference.Count, index.Count);
        foreach (((ushort ns, BlockId id), uint number) in reference) Assert.Equal(number, index.Find(ns, id));
        Assert.Equal(reference.Count, reference.Values.Distinct().Count());
    }

    [Fact]
    public void Index_TwoMillionBlocks_StaysBelow64BytesABlockAndFindsEveryPrefix()
    {
        const int Blocks = 2_000_000;
        using var index = new BlockIndex();
        for (int number = 0; number < Blocks; number++)
        {
            index.Add(1, IndexProbe.IdOf(number));
            if (number > 10_000 && number % 1000 == 0) Assert.InRange((double)index.NativeBytes / number, 48, 64);
        }

        var ids = new BlockId[1000];
        var found = new uint[1000];
        var random = new Random(4);
        for (int round = 0; round < 200; round++)
        {
            int start = random.Next(Blocks - 1000);
            for (int i = 0; i < 1000; i++) ids[i] = IndexProbe.IdOf(start + i);
            int gap = random.Next(2000);
            if (gap < 1000) ids[gap] = IndexProbe.IdOf(Blocks + gap);
            int count = index.FindPrefix(1, ids, found);
            Assert.Equal(Math.Min(gap, 1000), count);
            for (int i = 0; i < count; i++) Assert.Equal(ids[i], index[found[i]].Id);
        }

        Assert.Equal(0u, index.Find(2, IndexProbe.IdOf(5)));
    }

    [Fact]
    public void KeyStore_RandomKeys_KeepsThemAndUsesRoomAgain()
    {
        using var store = new KeyStore(512);
        var random = new Random(6);
        var keys = new List<(uint Handle, byte[] Key)>();
        long highest = 0;
        for (int step = 0; step < 50_000; step++)
        {
            if (keys.Count < 500)
            {
                var key = new byte[random.Next(513)];
                random.NextBytes(key);
                keys.Add((store.Add(key), key));
            }
            else
            {
                int at = random.Next(keys.Count);
                Assert.Equal(keys[at].Key, store.Get(keys[at].Handle, keys[at].Key.Length).ToArray());
                store.Remove(keys[at].Handle, keys[at].Key.Length);
                keys.RemoveAt(at);
            }

            if (step == 10_000) highest = store.NativeBytes;
        }

        Assert.Equal(keys.Sum(each => each.Key.Length), store.KeyBytes);
        Assert.InRange(store.NativeBytes, highest, highest * 3);
    }
}
