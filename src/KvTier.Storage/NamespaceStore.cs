using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvTier.Storage;

/// <summary>
/// The file of the registered namespaces: JSON for people, with a CRC32C over the canonical texts for us. A damaged file is refused,
/// never taken for an empty one, because the blocks in the log would lose their names.
/// </summary>
public sealed class NamespaceStore
{
    private const int Version = 1;
    private const long FileBytesMax = 16 << 20;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    private readonly string path;

    internal NamespaceStore(string path) => this.path = path;

    /// <summary>Reads the namespaces.</summary>
    /// <returns>The list, empty when there is no file yet; <see cref="ErrorCode.Corrupt"/> when the file is damaged,
    /// <see cref="ErrorCode.VersionMismatch"/> when it is of a newer version.</returns>
    public Result<NamespaceDescriptor[]> Load()
    {
        try
        {
            if (!File.Exists(path)) return Array.Empty<NamespaceDescriptor>();
            if (new FileInfo(path).Length > FileBytesMax) return Damaged($"more than {FileBytesMax} bytes");
            return Parse(File.ReadAllBytes(path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, path, exception.Message, "a file that can be read");
        }
    }

    /// <summary>Replaces the list, so that a crash leaves the old or the new one.</summary>
    /// <param name="namespaces">All namespaces, valid ones.</param>
    /// <returns>Null when the list is on the disk; <see cref="ErrorCode.DiskFull"/> or <see cref="ErrorCode.IoError"/> when the old one is
    /// still there.</returns>
    public KvError? Save(IReadOnlyList<NamespaceDescriptor> namespaces)
    {
        var document = new Document(Version, Check(namespaces), [.. namespaces.Select(Entry.From)]);
        try
        {
            AtomicFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(document, Json));
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            ErrorCode code = (exception.HResult & 0xFFFF) == Device.Native.Enospc ? ErrorCode.DiskFull : ErrorCode.IoError;
            return new KvError(code, path, exception.Message, "a file that can be written");
        }
    }

    private static string Check(IEnumerable<NamespaceDescriptor> namespaces)
    {
        uint crc = namespaces.Aggregate(0u, (sum, descriptor) => Crc32C.Append(sum, Encoding.UTF8.GetBytes(descriptor.CanonicalText)));
        return crc.ToString("x8", CultureInfo.InvariantCulture);
    }

    private Result<NamespaceDescriptor[]> Parse(byte[] bytes)
    {
        Document? document;
        try
        {
            document = JsonSerializer.Deserialize<Document>(bytes, Json);
        }
        catch (JsonException exception)
        {
            return Damaged(exception.Message);
        }

        if (document is null) return Damaged("no list");
        if (document.Version > Version) return new KvError(ErrorCode.VersionMismatch, path, $"{document.Version}", $"{Version}");
        var list = new List<NamespaceDescriptor>();
        foreach (Entry? entry in document.Namespaces ?? [])
        {
            if (entry?.ToDescriptor() is not { } descriptor || descriptor.Validate() is not null)
                return Damaged($"namespace {list.Count} is not valid");
            list.Add(descriptor);
        }

        return document.Crc32c == Check(list) ? list.ToArray() : Damaged($"crc32c is {Check(list)}, the file says {document.Crc32c}");
    }

    private KvError Damaged(string what) =>
        new(ErrorCode.Corrupt, path, what, "the file as it was saved; restore it, or move it away to begin with no namespaces");

    private sealed record Document(int Version, string Crc32c, Entry[]? Namespaces);

    private sealed record Entry(
        string? Tenant, string? Profile, string? Kind, int Layers, int KvHeads, int HeadDim, string? Dtype, int BlockTokens,
        double RopeTheta, double RopeScaling, bool PreRotation)
    {
        public static Entry From(NamespaceDescriptor descriptor)
        {
            ModelProfile p = descriptor.Profile;
            return new Entry(
                descriptor.Tenant, p.Name, p.Kind.ToString(), p.Layers, p.KvHeads, p.HeadDim, p.Dtype.Name(), p.BlockTokens,
                p.Rope.Theta, p.Rope.ScalingFactor, p.Rope.PreRotation);
        }

        public NamespaceDescriptor? ToDescriptor()
        {
            if (Tenant is null || Profile is null || !Enum.TryParse(Kind, out AttentionKind kind)
                || !DtypeExtensions.TryParse(Dtype ?? "", out Dtype dtype)) return null;
            return new NamespaceDescriptor(Tenant, new ModelProfile
            {
                Name = Profile,
                Kind = kind,
                Layers = Layers,
                KvHeads = KvHeads,
                HeadDim = HeadDim,
                Dtype = dtype,
                BlockTokens = BlockTokens,
                Rope = new RopeParameters(RopeTheta, RopeScaling, PreRotation),
            });
        }
    }
}
