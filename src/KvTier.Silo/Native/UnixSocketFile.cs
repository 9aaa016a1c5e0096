using System.Net.Sockets;

namespace KvTier.Silo.Native;

/// <summary>The file of a Unix socket: stale ones are removed, living ones and other files are left alone.</summary>
internal static class UnixSocketFile
{
    /// <summary>Makes room for a socket at a path.</summary>
    /// <returns>Null, or why the path can't be used.</returns>
    public static KvError? Prepare(string path)
    {
        if (!File.Exists(path)) return null;
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        {
            // A listener whose backlog is full would keep a blocking connect waiting.
            Blocking = false,
        };
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return KvError.InvalidArgument("unixSocket", path, "a path that no running process listens on");
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path).Length == 0)
        {
            // Nobody listens: left behind by a process that was killed.
            Remove(path);
            return null;
        }
        catch (SocketException)
        {
            return KvError.InvalidArgument("unixSocket", path, "a path where no other file is");
        }
    }

    /// <summary>Lets only this user connect.</summary>
    public static void Restrict(string path)
    {
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    /// <summary>Removes the file.</summary>
    public static void Remove(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is found stale by the next start.
        }
    }

}
