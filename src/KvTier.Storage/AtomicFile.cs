using KvTier.Storage.Device;

namespace KvTier.Storage;

/// <summary>Replaces a small file so that a crash leaves the old one or the new one, whole.</summary>
internal static class AtomicFile
{
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        string temporary = path + ".tmp";
        using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        int error = Native.SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        if (error != 0) throw new IOException($"The folder of {path} could not be synced: {Native.Describe(error)}.");
    }
}
