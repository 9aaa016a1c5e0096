using System.Runtime.InteropServices;
using KvTier.Protocol;
using KvTier.Recall;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>The device tier of a real silo, on a GPU or on PoCL.</summary>
public sealed class RecallDeviceTests : SiloTest
{
    [Fact]
    public async Task Recall_BlocksThatAreHot_AreAttendedToOnTheDeviceWithTheSameAnswer()
    {
        SiloHost host = await StartAsync(Small with { Recall = new RecallSettings { DeviceBytes = 8 << 20, DeviceAllowCpu = true } });
        RawClient client = Connect(host, Sequences.Namespace);
        Sequences.Store(client, "a", 20);
        byte[] queries = Sequences.Bytes(Sequences.Queries());
        Action<FrameBuffer> body = Sequences.Body(Sequences.Head(client, RecallMode.Attend), queries);
        byte[] onHost = client.Ask(Opcode.Recall, body, queries).Payload;
        await UntilAsync(
            () =>
            {
                AssertSame(onHost, client.Ask(Opcode.Recall, body, queries).Payload);
                return host.RecallStats.DeviceBlocks == 20 || host.RecallStats.DeviceFault is not null;
            },
            "the kernels are built, which takes long on a busy machine, and all blocks are on the device",
            seconds: 300);
        Assert.Null(host.RecallStats.DeviceFault);
        AssertSame(onHost, client.Ask(Opcode.Recall, body, queries).Payload);
        Assert.Equal(20 * Sequences.Profile.BlockBytes, host.RecallStats.DeviceBytes);
        Assert.Equal(0, host.RecallStats.DeviceFallbacks);
    }

    [Fact]
    public async Task Start_DeviceThatIsNotThere_HostDoesAll()
    {
        SiloHost host = await StartAsync(Small with { Recall = new RecallSettings { DeviceBytes = 8 << 20, Device = "none" } });
        RawClient client = Connect(host, Sequences.Namespace);
        Sequences.Store(client, "a", 3);
        byte[] queries = Sequences.Bytes(Sequences.Queries());
        client.Ask(Opcode.Recall, Sequences.Body(Sequences.Head(client, RecallMode.Attend), queries), queries).Ok();
        Assert.Equal(0, host.RecallStats.DeviceBytes);
    }

    private static void AssertSame(byte[] expected, byte[] got)
    {
        ReadOnlySpan<float> a = MemoryMarshal.Cast<byte, float>(expected);
        ReadOnlySpan<float> b = MemoryMarshal.Cast<byte, float>(got);
        Assert.Equal(a.Length, b.Length);
        for (int i = 0; i < a.Length; i++) Assert.True(Math.Abs(a[i] - b[i]) <= 1e-4f, $"{i}: {b[i]} on the device, {a[i]} on the host");
    }
}
