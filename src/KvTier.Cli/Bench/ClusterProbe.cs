using System.Net;
using System.Net.Sockets;

namespace KvTier.Cli;

/// <summary>What the network gives: bytes from one thread's memory to another's through a TCP connection of the loopback.</summary>
internal sealed class ClusterProbe : IDisposable
{
    private const int Piece = 1 << 20;
    private static readonly TimeSpan deadline = TimeSpan.FromSeconds(60);
    private readonly Socket sender = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Socket receiver;
    private readonly byte[] from = new byte[Piece];
    private readonly byte[] to = new byte[Piece];

    public ClusterProbe()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        sender.Connect(listener.LocalEndpoint);
        receiver = listener.AcceptSocket();
        sender.SendTimeout = receiver.ReceiveTimeout = (int)deadline.TotalMilliseconds;
        BlockContent.Fill(from, 1);
    }

    /// <summary>Copies bytes; returns when the last one has come.</summary>
    public void Copy(long bytes)
    {
        var sending = new Thread(() =>
        {
            try
            {
                for (long left = bytes; left > 0;) left -= sender.Send(from, (int)Math.Min(left, Piece), SocketFlags.None);
            }
            catch (SocketException)
            {
                // The receiver finds that bytes are missing.
                sender.Close();
            }
        });
        sending.Start();
        for (long left = bytes; left > 0;)
        {
            int read = receiver.Receive(to, (int)Math.Min(left, Piece), SocketFlags.None);
            if (read == 0) throw new CliException(ExitCodes.Fault, "bench: the probe's connection ended");
            left -= read;
        }

        sending.Join();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        sender.Dispose();
        receiver.Dispose();
    }
}
