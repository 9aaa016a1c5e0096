using System.Text;
using KvTier.Silo.Tests.Resp;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Values that a silo passes on from another one come and go in memory that is used again.</summary>
public sealed class RespForwardAllocationTests : ClusterTest
{
    private const int Rounds = 200;

    /// <summary>Allowed for a whole request: three silos live in this process and go on with their own work beside it, the more of it the
    /// longer a request takes.</summary>
    private static int BytesPerRequestMax(int length) => 1024 + (length / 64);

    [Theory]
    [InlineData(1, 100)]
    [InlineData(1, 8_000)]
    [InlineData(1, 1_000_000)]
    [InlineData(16, 60_000)]
    public async Task ForwardedGets_OverManyRequests_AllocateNothingPerValue(int keys, int length)
    {
        SiloHost[] silos = await StartClusterAsync(3, change: options => options with
        {
            Resp = new RespOptions { Enabled = true, Port = 0 },
        });
        using var client = new RespClient(silos[0].Endpoints.Resp!.Port);
        string value = new('v', length);
        var names = new List<string>();
        for (int i = 0; names.Count < keys; i++)
        {
            string key = $"key:{i}";
            long before = silos[0].ClusterStatus!.Counters["forwardedCommands"];
            Assert.Equal("+OK\r\n", client.Call("SET", key, value));
            if (silos[0].ClusterStatus!.Counters["forwardedCommands"] > before) names.Add(key);
        }

        byte[] gets = [.. names.SelectMany(name => RespClient.Encode("GET"u8.ToArray(), Encoding.ASCII.GetBytes(name)))];
        byte[] answer = new byte[keys * (length + $"${length}\r\n\r\n".Length)];
        RoundTrip(client, gets, answer);
        Assert.Equal($"${length}\r\nv", Encoding.ASCII.GetString(answer, 0, $"${length}\r\nv".Length));
        double least = double.MaxValue;

        // The least of several runs: what the silos and the test host allocate beside us is not ours.
        for (int run = 0; run < 20 && least > BytesPerRequestMax(length); run++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Rounds; i++) RoundTrip(client, gets, answer);
            least = Math.Min(least, (double)(GC.GetTotalAllocatedBytes(precise: true) - before) / (Rounds * keys));
        }

        Assert.True(least <= BytesPerRequestMax(length), $"{least:F1} bytes a request");
    }

    private static void RoundTrip(RespClient client, byte[] request, Span<byte> answer)
    {
        client.Send(request);
        while (!answer.IsEmpty)
        {
            int received = client.Socket.Receive(answer);
            Assert.NotEqual(0, received);
            answer = answer[received..];
        }
    }
}
