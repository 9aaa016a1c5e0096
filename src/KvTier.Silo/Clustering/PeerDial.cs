using System.Net;
using System.Net.Sockets;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Silo.Clustering;

/// <summary>How connections to other silos are made.</summary>
/// <param name="Sender">This silo's name.</param>
/// <param name="Token">What silos show each other; null for none.</param>
/// <param name="SocketBufferBytes">Send and receive buffer that the system is asked to keep.</param>
/// <param name="Time">The clock.</param>
internal sealed record PeerDial(string Sender, string? Token, int SocketBufferBytes, TimeProvider Time)
{
    /// <summary>Connects to a silo and greets it.</summary>
    /// <param name="to">The silo; one that answers under another name is refused.</param>
    /// <param name="deadline">Time for it.</param>
    public async Task<Result<PeerConnection>> ConnectAsync(SiloEntry to, TimeSpan deadline)
    {
        if (!HostPort.TryParse(to.Endpoint, out string host, out int port))
            return KvError.InvalidArgument($"silo {to.Name}: endpoint", to.Endpoint, HostPort.Form);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var ending = new CancellationTokenSource(deadline, Time);
        try
        {
            socket.SendBufferSize = SocketBufferBytes;
            socket.ReceiveBufferSize = SocketBufferBytes;
            EndPoint endPoint = IPAddress.TryParse(host, out IPAddress? address)
                ? new IPEndPoint(address, port)
                : new DnsEndPoint(host, port);
            await socket.ConnectAsync(endPoint, ending.Token);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            socket.Dispose();
            string cause = e is SocketException ? e.Message : $"no answer within {deadline.TotalMilliseconds:0} ms";
            return PeerErrors.Unreachable(to, cause);
        }

        EagerSocket.Prepare(socket);
        var connection = new PeerConnection(socket, to, Time);
        KvError? refused = await GreetAsync(connection, to, deadline);
        if (refused is null) return connection;
        connection.Dispose();
        return refused;
    }

    private async Task<KvError?> GreetAsync(PeerConnection connection, SiloEntry to, TimeSpan deadline)
    {
        var hello = new HelloRequest(FrameHeader.Version, FrameHeader.Version, $"silo {Sender}", Token, WireBounds.Probe);
        Result<PeerFrame> exchanged = await connection.ExchangeAsync(Opcode.Hello, hello.Write, [], deadline);
        if (!exchanged.TryGet(out PeerFrame answer, out KvError? error)) return error;
        if (!HelloResponse.Read(answer.Body.Span).TryGet(out HelloResponse? silo, out error)) return error;
        connection.Limits = silo.Limits;
        return string.Equals(silo.Silo, to.Name, StringComparison.Ordinal)
            ? null
            : PeerErrors.Unreachable(to, $"{silo.Silo} answers there");
    }
}
