using System.Globalization;

namespace KvTier.Storage.Device;

/// <summary>Segments as files of one folder, named by their number: <c>0000000000000007.seg</c>.</summary>
internal sealed class DirectorySegmentStore(string directory, bool direct) : ISegmentStore
{
    private const string Suffix = ".seg";

    public static string NameOf(long segment) => segment.ToString("x16", CultureInfo.InvariantCulture) + Suffix;

    public IReadOnlyList<long> List()
    {
        var segments = new List<long>();
        foreach (string path in Directory.EnumerateFiles(directory, "*" + Suffix))
        {
            string name = Path.GetFileNameWithoutExtension(path);
            if (name.Length == 16 && long.TryParse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long segment)
                && segment >= 0)
                segments.Add(segment);
        }

        segments.Sort();
        return segments;
    }

    public int Create(long segment, long bytes, out ISegmentFile? file)
    {
        string path = PathOf(NameOf(segment));
        file = null;
        int error = DirectSegmentFile.Open(path, create: true, direct, out DirectSegmentFile? made);
        if (error != 0) return error;
        error = made!.Preallocate(bytes);
        if (error == 0)
        {
            file = made;
            return 0;
        }

        made.Dispose();
        File.Delete(path);
        return error;
    }

    public int Open(long segment, out ISegmentFile? file)
    {
        int error = DirectSegmentFile.Open(PathOf(NameOf(segment)), create: false, direct, out DirectSegmentFile? opened);
        file = opened;
        return error;
    }

    public int Delete(long segment)
    {
        try
        {
            File.Delete(PathOf(NameOf(segment)));
            return Native.SyncDirectory(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Native.Eio;
        }
    }

    public string PathOf(string name) => Path.Combine(directory, name);
}
