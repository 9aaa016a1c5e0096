using KvTier.Engine;
using KvTier.Memory;
using KvTier.Storage;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

/// <summary>The engine over the real log: crashes at random, and the largest record.</summary>
public sealed class RealLogTests : IDisposable
{
    private static readonly TimeSpan guard = TimeSpan.FromSeconds(60);
    private static readonly NamespaceDescriptor opaque = new("default", Profiles.Opaque);

    private readonly TempDirectory folder = new();
    private bool mayGiveWay;

    [Theory]
    [InlineData(1, 64)]
    [InlineData(2, 64)]
    [InlineData(3, 8)]
    public async Task Engine_RealLogCrashesAtRandom_AcknowledgedStateComesBack(int seed, int capMiB)
    {
        // Under the small cap blocks give way; what is here must still be the newest.
        mayGiveWay = capMiB < 64;
        var random = new Random(seed);
        var model = new Dictionary<int, int>();
        var onDisk = new HashSet<int>();
        string data = folder["0"];
        for (int round = 0; round < 4; round++)
        {
            await using var silo = new Store(data, hostBytes: 2 << 20, capBytes: capMiB << 20, blockBytesMax: 256 << 10);
            foreach (int number in Enumerable.Range(0, 40))
            {
                await CheckAsync(silo, model, number);
                Assert.True(model.ContainsKey(number) || !onDisk.Contains(number), $"block {number} was in the log and did not come back");
            }

            for (int step = 0; step < 150; step++) await StepAsync(silo, model, random, step);
            Assert.Null(await silo.Engine.WaitDurableAsync(silo.Engine.CurrentTicket, guard));

            // The state on the disk while the engine is open is what a kill would leave.
            string copy = folder[$"{round + 1}"];
            CopyAsOfOneMoment(data, copy);
            // Nothing is put meanwhile, so what has a record after the copy was taken had it before.
            onDisk = [.. model.Keys.Where(number => silo.Engine.Describe(silo.Namespace, Store.IdOf(number)).Durable)];
            Assert.True(onDisk.Count > 0 && (mayGiveWay || onDisk.Count == model.Count));
            data = copy;
        }
    }

    [Fact]
    public async Task Engine_BlockOf64MiB_GoesToTheRealLogAndComesBackAfterARestart()
    {
        const int Length = 64 << 20;
        await using (var silo = new Store(folder["big"], hostBytes: 64 << 20, capBytes: 512 << 20, Length))
        {
            await silo.PutAsync(1, 1, overwrite: false, Length);
            Assert.Null(await silo.Engine.WaitDurableAsync(silo.Engine.CurrentTicket, guard));
            await silo.PutAsync(2, 2, overwrite: false, Length);
            Assert.Equal(1, await silo.GetAsync(1, Length));
        }

        await using var again = new Store(folder["big"], hostBytes: 64 << 20, capBytes: 512 << 20, Length);
        Assert.Equal(2, await again.GetAsync(2, Length));
        Assert.Equal(1, await again.GetAsync(1, Length));
    }

    public void Dispose() => folder.Dispose();

    private async Task StepAsync(Store silo, Dictionary<int, int> model, Random random, int step)
    {
        int number = random.Next(40);
        switch (random.Next(8))
        {
            case 0:
                bool known = model.Remove(number);
                bool deleted = silo.Engine.Delete(silo.Namespace, Store.IdOf(number));
                Assert.True(deleted == known || (known && mayGiveWay));
                break;
            case 1 when !mayGiveWay:
                bool pinned = silo.Engine.Pin(silo.Namespace, Store.IdOf(number), DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 1);
                Assert.Equal(model.ContainsKey(number), pinned);
                break;
            case < 5:
                int version = (random.Next(1 << 20) << 8) | (step & 0xFF);
                await silo.PutAsync(number, version, overwrite: true, Store.LengthOf(number));
                model[number] = version;
                if (random.Next(2) == 0) Assert.Null(await silo.Engine.WaitDurableAsync(silo.Engine.CurrentTicket, guard));
                break;
            default:
                await CheckAsync(silo, model, number);
                break;
        }
    }

    private async Task CheckAsync(Store silo, Dictionary<int, int> model, int number)
    {
        int found = await silo.GetAsync(number, Store.LengthOf(number));
        // Gone for good: not even a crash brings back what was found evicted.
        if (found < 0 && mayGiveWay) model.Remove(number);
        Assert.Equal(model.GetValueOrDefault(number, -1), found);
    }

    // Reclaim and the index files go on in the background. A copy that equals what is there after it was taken is the state of one
    // moment, that between the two; any other could be a state that no crash leaves.
    private static void CopyAsOfOneMoment(string from, string to)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!TryCopy(from, to) || !IsSame(from, to))
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < guard, "the files of the log never rest");
            Directory.Delete(to, recursive: true);
        }
    }

    private static bool TryCopy(string from, string to)
    {
        Directory.CreateDirectory(to);
        try
        {
            foreach (string file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    private static bool IsSame(string from, string to)
    {
        IEnumerable<string?> names = Directory.GetFiles(to).Select(Path.GetFileName).Order();
        if (!names.SequenceEqual(Directory.GetFiles(from).Select(Path.GetFileName).Order())) return false;
        try
        {
            return names.All(name => Hash(Path.Combine(from, name!)).SequenceEqual(Hash(Path.Combine(to, name!))));
        }
        catch (FileNotFoundException)
        {
            return false;
        }
    }

    private static byte[] Hash(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return System.Security.Cryptography.SHA256.HashData(file);
    }

    /// <summary>An engine over a real log and a small arena.</summary>
    private sealed class Store : IAsyncDisposable
    {
        private readonly Arena arena;
        private readonly BlockLog log;

        internal Store(string directory, long hostBytes, long capBytes, int blockBytesMax = 1 << 20)
        {
            arena = Arena.Create(new ArenaOptions { CapacityBytes = hostBytes, Shared = false }).Value;
            var options = new LogOptions { Directory = directory, CapBytes = capBytes, BlockBytesMax = blockBytesMax };
            log = BlockLog.Open(options, TimeProvider.System).Value;
            Engine = new BlockEngine(new EngineOptions { MissLedgerEntries = 4096 }, arena, log, TimeProvider.System);
            Engine.Recover([opaque]);
            Namespace = Engine.OpenNamespace(opaque).Value;
            Engine.Start();
        }

        internal BlockEngine Engine { get; }

        internal ushort Namespace { get; }

        internal static BlockId IdOf(int number) => BlockId.Compute(opaque.Id, KeyOf(number));

        internal static int LengthOf(int number) => 700 + (number * 5_000);

        internal async Task PutAsync(int number, int version, bool overwrite, int length)
        {
            Reservation reservation;
            while (!Begin(number, overwrite, length, out reservation)) Assert.True(await Engine.WaitForRoomAsync(length, guard));
            Memory<byte> bytes = arena.Slice(reservation.Offset, length);
            BlockBytes.Fill(new BlockId((ulong)version, (ulong)number), bytes.Span[4..]);
            BitConverter.TryWriteBytes(bytes.Span, version);
            Assert.Equal(SealStatus.Stored, Engine.Seal(reservation, Crc32C.Compute(bytes.Span), out _));
        }

        /// <summary>The version that is here, its bytes compared; -1 for a miss.</summary>
        internal async Task<int> GetAsync(int number, int length)
        {
            LeaseResult result = await Engine.LeaseAsync(Namespace, IdOf(number), guard);
            if (result.Reason != MissReason.None)
            {
                // A device that fails, a damaged record or a wait too long would be no right way to lose a block.
                Assert.Contains(result.Reason, new[] { MissReason.NeverStored, MissReason.Evicted, MissReason.Deleted });
                return -1;
            }

            Assert.Equal(length, result.Lease.Length);
            int version = Compare(number, arena.Slice(result.Lease.Offset, length).Span);
            Engine.Release(result.Lease);
            return version;
        }

        public async ValueTask DisposeAsync()
        {
            await Engine.DisposeAsync();
            await log.DisposeAsync();
            Assert.Equal(0, arena.UsedBytes);
            arena.Dispose();
        }

        private static int Compare(int number, ReadOnlySpan<byte> bytes)
        {
            int version = BitConverter.ToInt32(bytes);
            var expected = new byte[bytes.Length - 4];
            BlockBytes.Fill(new BlockId((ulong)version, (ulong)number), expected);
            Assert.True(bytes[4..].SequenceEqual(expected), $"bytes of block {number} version {version}");
            return version;
        }

        private static byte[] KeyOf(int number) => System.Text.Encoding.ASCII.GetBytes($"key-{number}");

        private bool Begin(int number, bool overwrite, int length, out Reservation reservation)
        {
            var request = new PutRequest
            {
                Namespace = Namespace,
                Id = IdOf(number),
                Key = KeyOf(number),
                Length = length,
                Overwrite = overwrite,
            };
            bool begun = Engine.TryBeginPut(request, out PutBegin begin, out reservation);
            Assert.True(!begun || begin == PutBegin.Reserved);
            return begun;
        }
    }
}
