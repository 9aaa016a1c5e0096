namespace KvTier.Recall;

/// <summary>Asks what a silo has of a manifest that is newer than what the asker has.</summary>
/// <param name="Namespace">Fingerprint of the namespace.</param>
/// <param name="Name">Name of the sequence.</param>
/// <param name="Epoch">Epoch of the asker's version; 0 when it has none.</param>
/// <param name="Version">The asker's version.</param>
internal sealed record ManifestAsk(NamespaceId Namespace, string Name, long Epoch, long Version)
{
    /// <summary>Writes it.</summary>
    internal ReadOnlyMemory<byte> Write()
    {
        var writer = new MessageWriter();
        writer.Namespace(Namespace);
        writer.Text(Name);
        writer.Long(Epoch);
        writer.Long(Version);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static ManifestAsk? Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        var ask = new ManifestAsk(reader.Namespace(), reader.Text(), reader.Long(), reader.Long());
        return reader.IsDone ? ask : null;
    }
}
