using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace KvTier.Silo.Native;

/// <summary>Asks the kernel whose process is at the other end of a Unix socket.</summary>
internal static partial class PeerCredentials
{
    private const int SolSocket = 1;
    private const int SoPeerCred = 17;

    /// <summary>The user of this process.</summary>
    public static uint OwnUid { get; } = GetEffectiveUserId();

    /// <summary>The user of the process that connected; null when the kernel does not say.</summary>
    public static uint? UidOf(Socket socket)
    {
        // struct ucred of Linux: pid, uid, gid, 4 bytes each.
        Span<byte> credentials = stackalloc byte[12];
        try
        {
            return socket.GetRawSocketOption(SolSocket, SoPeerCred, credentials) == credentials.Length
                ? BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..])
                : null;
        }
        catch (SocketException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUserId();
}
