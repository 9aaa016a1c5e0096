using System.Diagnostics;
using System.Net.Sockets;

namespace KvTier.Client.Connections;

/// <summary>
/// Sends and receives that look at the socket a few times before they wait for it. While a block is on its way the next bytes, or the
/// room for them, are only microseconds off; to sleep and be woken for each piece of it costs more than the copying. Between two looks
/// the processor is offered to whoever else is ready to run, so that a busy machine loses nothing.
/// </summary>
/// <remarks>Silo and client use it alike. The socket must be set to non-blocking by <see cref="Prepare"/>.</remarks>
public static class EagerSocket
{
    /// <summary>
    /// Longest time of looking, in µs, before a call waits: several times what a wake-up takes (20 to 50 µs in a virtual machine), so that
    /// a connection that carries blocks never sleeps between pieces, and little enough that going idle costs next to nothing.
    /// </summary>
    public const int LookMicroseconds = 100;

    /// <summary>
    /// Frames or batches that a loop takes before it lets others have its thread of the pool: a connection on which bytes never stop coming
    /// never waits, and would keep the thread for good.
    /// </summary>
    public const int TurnsMax = 64;

    private static readonly long lookTicks = Stopwatch.Frequency * LookMicroseconds / 1_000_000;

    // Closing a socket wakes who waits for it; the slice is for the case that it does not.
    private static readonly TimeSpan blockingSlice = TimeSpan.FromSeconds(1);

    // A token does not wake who waits for a socket.
    private static readonly TimeSpan cancellableSlice = TimeSpan.FromMilliseconds(2);

    /// <summary>Makes a socket ready for eager calls.</summary>
    public static void Prepare(Socket socket) => socket.Blocking = false;

    /// <summary>Receives some bytes.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="destination">Where they go; not empty.</param>
    /// <param name="cancellation">Ends the wait, not the looking before it.</param>
    /// <returns>How many; 0 when the peer has closed its side.</returns>
    /// <exception cref="SocketException">The connection has failed.</exception>
    public static ValueTask<int> ReceiveAsync(Socket socket, Memory<byte> destination, CancellationToken cancellation = default)
    {
        long until = 0;
        while (true)
        {
            int received = socket.Receive(destination.Span, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success) return new ValueTask<int>(received);
            if (error != SocketError.WouldBlock || !LookOn(ref until)) break;
        }

        return ConnectionThread.IsCurrent
            ? new ValueTask<int>(ReceiveBlocking(socket, destination.Span, cancellation))
            : socket.ReceiveAsync(destination, SocketFlags.None, cancellation);
    }

    /// <summary>Sends some bytes.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="source">The bytes; not empty.</param>
    /// <returns>How many were taken.</returns>
    /// <exception cref="SocketException">The connection has failed.</exception>
    public static ValueTask<int> SendAsync(Socket socket, ReadOnlyMemory<byte> source)
    {
        long until = 0;
        while (true)
        {
            int sent = socket.Send(source.Span, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success) return new ValueTask<int>(sent);
            if (error != SocketError.WouldBlock || !LookOn(ref until)) break;
        }

        return ConnectionThread.IsCurrent
            ? new ValueTask<int>(SendBlocking(socket, source.Span))
            : socket.SendAsync(source, SocketFlags.None);
    }

    /// <summary>Looks whether something has happened, for the same time as before a wait.</summary>
    /// <param name="state">What the question is about.</param>
    /// <param name="happened">The question; cheap, and without side effects.</param>
    public static void LookUntil<TState>(TState state, Func<TState, bool> happened)
    {
        ArgumentNullException.ThrowIfNull(happened);
        long until = 0;
        while (!happened(state) && LookOn(ref until))
        {
        }
    }

    /// <summary>Lets others have the thread now and then, when it is one of the pool's.</summary>
    /// <param name="turn">Counts the frames or batches of the loop.</param>
    public static async ValueTask TakeTurnAsync(uint turn)
    {
        if (turn % TurnsMax == 0 && !ConnectionThread.IsCurrent) await Task.Yield();
    }

    private static int ReceiveBlocking(Socket socket, Span<byte> destination, CancellationToken cancellation)
    {
        TimeSpan slice = cancellation.CanBeCanceled ? cancellableSlice : blockingSlice;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            socket.Poll(slice, SelectMode.SelectRead);
            int received = socket.Receive(destination, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success) return received;
            if (error != SocketError.WouldBlock) throw new SocketException((int)error);
        }
    }

    private static int SendBlocking(Socket socket, ReadOnlySpan<byte> source)
    {
        while (true)
        {
            socket.Poll(blockingSlice, SelectMode.SelectWrite);
            int sent = socket.Send(source, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success) return sent;
            if (error != SocketError.WouldBlock) throw new SocketException((int)error);
        }
    }

    private static bool LookOn(ref long until)
    {
        long now = Stopwatch.GetTimestamp();
        if (until == 0) until = now + lookTicks;
        else if (now >= until) return false;
        Thread.Yield();
        return true;
    }
}
