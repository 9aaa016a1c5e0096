using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>Gets and puts that are answered from host memory allocate nothing per block.</summary>
public sealed class AllocationTests : SiloTest
{
    private const int Rounds = 400;

    /// <summary>Allowed for a whole request: timers of the runtime and of the sweep go on beside it.</summary>
    private const double BytesPerRequestMax = 64;

    [Theory]
    [InlineData(1, 4096)]
    [InlineData(64, 4096)]
    [InlineData(1, 300_000)]
    [InlineData(8, 100_000)]
    public async Task HostHits_OverManyRequests_AllocateNothingPerBlock(int blocks, int length)
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (string, int)[] batch = [.. Enumerable.Range(0, blocks).Select(i => ($"k{i}", length))];
        Blocks.Put(client, batch);
        byte[] get = RawClient.Encode(Opcode.Get, 1, b =>
            GetRequest.Write(b, client.Namespace, 0, [.. batch.Select(x => client.Id(x.Item1))]));
        AssertNothingAllocated(client, get);
    }

    [Theory]
    [InlineData(1, 4096)]
    [InlineData(64, 4096)]
    [InlineData(4, 300_000)]
    public async Task Puts_OverManyRequests_AllocateNothingPerBlock(int blocks, int length)
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (string, int)[] batch = [.. Enumerable.Range(0, blocks).Select(i => ($"k{i}", length))];
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, batch, flags: PutFlags.Overwrite);
        AssertNothingAllocated(client, [.. RawClient.Encode(Opcode.Put, 1, body, payload.Length), .. payload]);
    }

    private static void AssertNothingAllocated(RawClient client, byte[] request)
    {
        byte[] answer = new byte[8 << 20];
        client.Send(request);
        Reply first = client.Receive();
        int answerBytes = FrameHeader.SizeBytes + first.Body.Length + first.Payload.Length;
        long least = long.MaxValue;

        // The least of several runs: what the test host allocates beside us is not ours, and is the more the longer a run takes.
        for (int run = 0; run < 20 && least > Rounds * BytesPerRequestMax; run++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Rounds; i++) RoundTrip(client, request, answer.AsSpan(0, answerBytes));
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        Assert.True(least <= Rounds * BytesPerRequestMax, $"{(double)least / Rounds:F1} bytes a request");
    }

    private static void RoundTrip(RawClient client, byte[] request, Span<byte> answer)
    {
        for (int sent = 0; sent < request.Length;) sent += client.Socket.Send(request.AsSpan(sent));
        for (int have = 0; have < answer.Length;) have += client.Socket.Receive(answer[have..]);
    }
}
