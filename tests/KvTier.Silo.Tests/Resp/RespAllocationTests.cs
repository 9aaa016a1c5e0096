using System.Net.Sockets;
using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>GET and SET of values in host memory allocate nothing on the GC heap once they run.</summary>
[Collection("resp")]
public sealed class RespAllocationTests(RespFixture fixture)
{
    private const int Rounds = 400;

    /// <summary>What the runtime itself may allocate meanwhile in the whole process, by operation: far below one object for each.</summary>
    private const double BytesAllowed = 24;

    [Theory]
    [InlineData(100)]
    [InlineData(1 << 20)]
    public void GetAndSet_InSteadyState_AllocateNothing(int size)
    {
        using var client = new RespClient(fixture.SiloPort);
        byte[] set = RespClient.Encode([.. new[] { "SET"u8.ToArray(), "alloc"u8.ToArray(), new byte[size] }]);
        byte[] get = RespClient.Encode([.. new[] { "GET"u8.ToArray(), "alloc"u8.ToArray() }]);
        int getReply = Encoding.ASCII.GetByteCount($"${size}\r\n") + size + 2;
        byte[] room = new byte[1 << 16];
        for (int i = 0; i < Rounds; i++) Exchange(client.Socket, set, 5, get, getReply, room);
        double best = double.MaxValue;

        // Background work of the runtime (tiering, timers) may fall into one window, not into every one of them.
        for (int window = 0; window < 20 && best > BytesAllowed; window++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < Rounds; i++) Exchange(client.Socket, set, 5, get, getReply, room);
            best = Math.Min(best, (GC.GetTotalAllocatedBytes(precise: true) - before) / (2.0 * Rounds));
        }

        Assert.True(best <= BytesAllowed, $"{best:F1} bytes allocated by a GET or SET of {size} bytes");
    }

    private static void Exchange(Socket socket, byte[] set, int setReply, byte[] get, int getReply, byte[] room)
    {
        Send(socket, set);
        Receive(socket, setReply, room);
        Send(socket, get);
        Receive(socket, getReply, room);
    }

    private static void Send(Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty) bytes = bytes[socket.Send(bytes)..];
    }

    private static void Receive(Socket socket, int bytes, byte[] room)
    {
        while (bytes > 0)
        {
            int count = socket.Receive(room.AsSpan(0, Math.Min(bytes, room.Length)));
            Assert.True(count > 0, "the connection was closed");
            bytes -= count;
        }
    }
}
