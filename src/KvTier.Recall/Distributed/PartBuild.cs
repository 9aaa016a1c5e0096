namespace KvTier.Recall;

/// <summary>The part that a silo is to have of a sequence: blocks that it keeps of a part it has, and blocks that follow them.</summary>
internal sealed record PartBuild
{
    /// <summary>Fingerprint of the namespace.</summary>
    internal required NamespaceId Namespace { get; init; }

    /// <summary>Name of the sequence.</summary>
    internal required string Name { get; init; }

    /// <summary>The digests it keeps.</summary>
    internal required IReadOnlyList<DigestSpec> Digests { get; init; }

    /// <summary>How stored keys are rotated before use.</summary>
    internal RopeRotation? Rotation { get; init; }

    /// <summary>The sequence whose part is begun with; empty for none.</summary>
    internal string BaseName { get; init; } = "";

    /// <summary>What that part must be of.</summary>
    internal ulong BaseStamp { get; init; }

    /// <summary>Its first blocks that stay.</summary>
    internal int Keep { get; init; }

    /// <summary>Tokens in the last block.</summary>
    internal required int LastTokens { get; init; }

    /// <summary>Positions of the blocks that follow, ascending.</summary>
    internal required int[] Positions { get; init; }

    /// <summary>Those blocks.</summary>
    internal required BlockId[] Ids { get; init; }

    /// <summary>Checks of their payloads; empty when blocks are appended and the part is to tell them.</summary>
    internal uint[] Crcs { get; init; } = [];

    /// <summary>True when checks are to be told.</summary>
    internal bool Learns => Crcs.Length == 0 && Ids.Length > 0;

    /// <summary>Writes it.</summary>
    internal ReadOnlyMemory<byte> Write()
    {
        var writer = new MessageWriter();
        writer.Namespace(Namespace);
        writer.Text(Name);
        MessageShapes.Write(writer, Digests, Rotation);
        writer.Text(BaseName);
        writer.Long((long)BaseStamp);
        writer.Int(Keep);
        writer.Int(LastTokens);
        writer.Numbers<int>(Positions);
        writer.Ids(Ids);
        writer.Numbers<uint>(Crcs);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static PartBuild? Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        NamespaceId ns = reader.Namespace();
        string name = reader.Text();
        if (!MessageShapes.TryRead(ref reader, out DigestSpec[] digests, out RopeRotation? rotation)) return null;
        var build = new PartBuild
        {
            Namespace = ns,
            Name = name,
            Digests = digests,
            Rotation = rotation,
            BaseName = reader.Text(),
            BaseStamp = (ulong)reader.Long(),
            Keep = reader.Int(),
            LastTokens = reader.Int(),
            Positions = reader.Numbers<int>(),
            Ids = reader.Ids(),
            Crcs = reader.Numbers<uint>(),
        };
        return reader.IsDone && build.IsWhole() ? build : null;
    }

    private bool IsWhole()
    {
        if (Keep < 0 || (Keep > 0 && BaseName.Length == 0) || LastTokens < 0 || Positions.Length != Ids.Length) return false;
        if (Crcs.Length != 0 && Crcs.Length != Ids.Length) return false;
        for (int i = 0; i < Positions.Length; i++)
        {
            if (Positions[i] < 0 || (i > 0 && Positions[i] <= Positions[i - 1])) return false;
        }

        return true;
    }
}

/// <summary>What a part has become.</summary>
/// <param name="Stamp">What it is of.</param>
/// <param name="Crcs">Checks of the blocks that were added.</param>
/// <param name="Absent">Which of those are not there, by their place among them. When blocks are appended nothing is built then.</param>
/// <param name="DigestBytes">Native bytes of its digests.</param>
/// <param name="QuarantinedChunks">Chunks that are always read and never scored.</param>
internal sealed record PartBuilt(ulong Stamp, uint[] Crcs, int[] Absent, long DigestBytes, long QuarantinedChunks)
{
    /// <summary>Writes it.</summary>
    internal ReadOnlyMemory<byte> Write()
    {
        var writer = new MessageWriter();
        writer.Long((long)Stamp);
        writer.Numbers<uint>(Crcs);
        writer.Numbers<int>(Absent);
        writer.Long(DigestBytes);
        writer.Long(QuarantinedChunks);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static PartBuilt? Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        var built = new PartBuilt(
            (ulong)reader.Long(), reader.Numbers<uint>(), reader.Numbers<int>(), reader.Long(), reader.Long());
        return reader.IsDone ? built : null;
    }
}

/// <summary>Digests and rotation in messages, as manifests have them.</summary>
internal static class MessageShapes
{
    /// <summary>Writes them.</summary>
    internal static void Write(MessageWriter writer, IReadOnlyList<DigestSpec> digests, RopeRotation? rotation)
    {
        var bytes = new byte[ManifestFormat.ShapeBytes(digests.Count)];
        ManifestFormat.WriteShape(bytes, digests, rotation);
        writer.Numbers<byte>(bytes);
    }

    /// <summary>Reads them.</summary>
    internal static bool TryRead(ref MessageReader reader, out DigestSpec[] digests, out RopeRotation? rotation) =>
        ManifestFormat.TryReadShape(reader.Numbers<byte>(), out digests, out rotation);
}
