using System.Diagnostics;
using KvTier.Cli;
using KvTier.Client;

namespace KvTier.ProcessTests;

public class FullDiskTests
{
    private const int BlockBytes = 1 << 20;
    private const int PutsMax = 400;

    [Fact]
    public async Task Put_DiskFull_AckSsdIsRefusedTypedTheHostTierServesAndItRecoversWhenSpaceReturns()
    {
        using var folder = new TempFolder();
        string disk = folder.File("data");
        Directory.CreateDirectory(disk);
        string[] arguments =
        [
            "--tcp", "false", "--http-enabled", "false", "--unix-socket", folder.File("s"), "--data-directory", disk,
            "--host-bytes", "64MiB", "--ssd-bytes", "1GiB", "--put-wait-ms", "20000",
        ];
        // A tmpfs in a mount namespace of its own, which needs no rights and goes with the process; unshare is of util-linux.
        await using TestSilo silo = await TestSilo.StartAsync(
            arguments, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
            "mount -t tmpfs -o size=192m tmpfs \"$0\" && exec \"$@\"", disk);
        string inside = $"/proc/{silo.Process.Pid}/root{disk}";
        string filler = Path.Combine(inside, "filler");
        await File.WriteAllBytesAsync(filler, new byte[96 << 20], TestSilo.Cancel);

        (int durable, KvError? refused) = (0, null);
        while (refused is null && durable < PutsMax)
        {
            refused = await PutAsync(silo.Blocks, durable, AckLevel.Ssd);
            if (refused is null) durable++;
        }

        Assert.NotNull(refused);
        Assert.Equal(ErrorCode.DiskFull, refused.Code);
        Assert.Null(await PutAsync(silo.Blocks, 10_000, AckLevel.Memory));
        await AssertRightAsync(silo.Blocks, 10_000);
        for (int i = 0; i < durable; i++) await AssertRightAsync(silo.Blocks, i);

        File.Delete(filler);
        long start = Stopwatch.GetTimestamp();
        KvError? error = refused;
        for (int i = 0; error is not null && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60); i++)
            error = await PutAsync(silo.Blocks, 20_000, AckLevel.Ssd);
        Assert.Null(error);
        await AssertRightAsync(silo.Blocks, 20_000);
        Assert.Equal(0, await silo.Process.TerminateAsync());
    }

    private static async Task<KvError?> PutAsync(KvNamespace blocks, long number, AckLevel ack)
    {
        var bytes = new byte[BlockBytes];
        BlockContent.Fill(bytes, (ulong)number);
        return (await blocks.PutAsync(NumberedBlocks.Key(number), bytes, new PutOptions { Ack = ack }, TestSilo.Cancel)).Error;
    }

    private static async Task AssertRightAsync(KvNamespace blocks, long number)
    {
        (BlockResult answer, byte[] bytes) =
            (await blocks.GetArrayAsync(blocks.IdOf(NumberedBlocks.Key(number)), cancellationToken: TestSilo.Cancel)).Value;
        Assert.True(answer.IsHit, $"block {number}: {answer.Reason.Name()}");
        Assert.Equal(-1, BlockContent.FirstWrong(bytes, (ulong)number));
    }
}
