using System.Buffers.Binary;
using KvTier.Cli;
using KvTier.Client;

namespace KvTier.ProcessTests;

/// <summary>Blocks whose key, length and bytes follow from a number.</summary>
internal static class NumberedBlocks
{
    public static byte[] Key(long number)
    {
        var key = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(key, number);
        return key;
    }

    public static byte[] Bytes(long number)
    {
        var bytes = new byte[1 + (number * 7919 % 40_000)];
        BlockContent.Fill(bytes, (ulong)number);
        return bytes;
    }

    public static ValueTask<Result<PutStatus>> PutAsync(KvNamespace blocks, long number, AckLevel ack) =>
        blocks.PutAsync(Key(number), Bytes(number), new PutOptions { Ack = ack }, TestSilo.Cancel);

    /// <summary>Fails when a block has other bytes than its own.</summary>
    /// <returns>The numbers that are not there.</returns>
    public static async Task<List<long>> MissingAsync(KvNamespace blocks, IReadOnlyList<long> numbers)
    {
        var missing = new List<long>();
        var buffer = new byte[64 * 40_000];
        foreach (long[] some in numbers.Chunk(64))
        {
            var gets = some.Select((number, i) => new GetBlock(blocks.IdOf(Key(number)), buffer.AsMemory(i * 40_000, 40_000))).ToArray();
            var results = new BlockResult[gets.Length];
            Assert.Null((await blocks.GetAsync(gets, results, cancellationToken: TestSilo.Cancel)).Error);
            for (int i = 0; i < some.Length; i++)
            {
                if (!results[i].IsHit) missing.Add(some[i]);
                else Assert.True(gets[i].Destination.Span[..results[i].Length].SequenceEqual(Bytes(some[i])),
                    $"block {some[i]} has wrong bytes");
            }
        }

        return missing;
    }
}
