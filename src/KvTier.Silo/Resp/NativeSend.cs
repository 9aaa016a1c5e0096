using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvTier.Silo.Resp;

/// <summary>
/// One system call for several pieces of memory. <see cref="Socket"/> can gather arrays only, and a value lies in an arena, outside the GC
/// heap; without this a GET would take three calls and three packets.
/// </summary>
internal static partial class NativeSend
{
    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Piece
    {
        public byte* Base;
        public nuint Length;
    }

    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Message
    {
        public void* Name;
        public uint NameLength;
        public Piece* Pieces;
        public nuint PieceCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    /// <summary>Sends as much of three pieces as the socket takes now.</summary>
    /// <returns>Bytes sent; 0 when it takes none or has failed, which the next ordinary send reports.</returns>
    public static unsafe long TrySend(Socket socket, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third)
    {
        if (!OperatingSystem.IsLinux()) return 0;
        bool held = false;
        try
        {
            socket.SafeHandle.DangerousAddRef(ref held);
            fixed (byte* a = first, b = second, c = third)
            {
                Piece* pieces = stackalloc Piece[3];
                pieces[0] = new Piece { Base = a, Length = (nuint)first.Length };
                pieces[1] = new Piece { Base = b, Length = (nuint)second.Length };
                pieces[2] = new Piece { Base = c, Length = (nuint)third.Length };
                var message = new Message { Pieces = pieces, PieceCount = 3 };
                return Math.Max(0, (long)SendMessage((int)socket.SafeHandle.DangerousGetHandle(), &message, DontWait | NoSignal));
            }
        }
        catch (ObjectDisposedException)
        {
            return 0;
        }
        finally
        {
            if (held) socket.SafeHandle.DangerousRelease();
        }
    }

    [LibraryImport("libc", EntryPoint = "sendmsg")]
    private static unsafe partial nint SendMessage(int socket, Message* message, int flags);
}
