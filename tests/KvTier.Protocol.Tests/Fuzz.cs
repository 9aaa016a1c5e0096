namespace KvTier.Protocol.Tests;

/// <summary>What the harness reports: a target that threw, or allocated more than its bound, with the input that made it.</summary>
internal sealed class FuzzException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Feeds a target random bytes, valid inputs cut at every byte, and mutated ones. A target must neither throw nor allocate more than
/// <see cref="BaseBytes"/> plus <see cref="BytesPerByte"/> for each byte of its input.
/// </summary>
internal static class Fuzz
{
    private const long BaseBytes = 16 * 1024;
    private const long BytesPerByte = 64;

    /// <summary>Bytes that announce lengths in MessagePack and RESP, and extremes.</summary>
    private static readonly byte[] telling = [0xC4, 0xC6, 0xC9, 0xDB, 0xDD, 0xDF, 0xFF, 0x7F, 0x00, (byte)'*', (byte)'$'];

    public delegate void Target(byte[] input);

    public static void Run(string name, Target target, IReadOnlyList<byte[]> seeds, int rounds, int seed)
    {
        Task work = Task.Run(() => RunAll(name, target, seeds, rounds, seed));
        if (Task.WhenAny(work, Task.Delay(TimeSpan.FromSeconds(300))).GetAwaiter().GetResult() != work)
            throw new FuzzException($"{name}: still running after 300 s; seed {seed}");
        work.GetAwaiter().GetResult();
    }

    private static void RunAll(string name, Target target, IReadOnlyList<byte[]> seeds, int rounds, int seed)
    {
        foreach (byte[] valid in seeds)
        {
            for (int length = 0; length <= valid.Length; length++) One(name, target, valid[..length]);
        }

        var random = new Random(seed);
        for (int round = 0; round < rounds; round++)
        {
            byte[] noise = new byte[random.Next(64)];
            random.NextBytes(noise);
            One(name, target, noise);
            One(name, target, Mutate(seeds[random.Next(seeds.Count)], random));
        }
    }

    public static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (int edits = random.Next(1, 4); edits > 0 && bytes.Count > 0; edits--)
        {
            int at = random.Next(bytes.Count);
            switch (random.Next(6))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes.Insert(at, (byte)random.Next(256)); break;
                case 3: bytes.RemoveAt(at); break;
                case 4: bytes[at] = telling[random.Next(telling.Length)]; break;
                default: bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(16), bytes.Count - at))); break;
            }
        }

        return [.. bytes];
    }

    private static void One(string name, Target target, byte[] input)
    {
        long bound = BaseBytes + (BytesPerByte * input.Length);
        if (Measure(name, target, input) <= bound) return;

        // The first time may have filled caches of the runtime; what a decoder allocates by a length, it allocates again.
        long allocated = Measure(name, target, input);
        if (allocated > bound) throw new FuzzException($"{name}: {allocated} bytes allocated on {Convert.ToHexString(input)}");
    }

    private static long Measure(string name, Target target, byte[] input)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            target(input);
        }
        catch (Exception thrown) when (thrown is not FuzzException)
        {
            throw new FuzzException($"{name}: {thrown.GetType().Name} ({thrown.Message}) on {Convert.ToHexString(input)}", thrown);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
