namespace KvTier.Recall;

/// <summary>Why a manifest is sent.</summary>
internal enum ManifestReason : byte
{
    /// <summary>Its owner changes it: only the owner of the receiver's map is believed.</summary>
    Change = 1,

    /// <summary>It is handed to a silo that is to hold it; the newer one stays.</summary>
    HandOver = 2,

    /// <summary>It is that of a new sequence, and the receiver owns its name.</summary>
    Create = 3,
}

/// <summary>A manifest on its way to another silo: the blocks after those that the receiver has by an older version.</summary>
internal sealed record ManifestMessage
{
    /// <summary>The namespace, so that a silo that never heard of it can open it.</summary>
    internal required NamespaceDescriptor Namespace { get; init; }

    /// <summary>Why it is sent.</summary>
    internal required ManifestReason Reason { get; init; }

    /// <summary>Name, digests, rotation, tokens, epoch and version; segments and tail are void.</summary>
    internal required SequenceManifest Manifest { get; init; }

    /// <summary>First blocks that stay of the version below; 0 when all blocks follow.</summary>
    internal int Keep { get; init; }

    /// <summary>Epoch of the version whose blocks stay.</summary>
    internal long BaseEpoch { get; init; }

    /// <summary>The version whose blocks stay.</summary>
    internal long BaseVersion { get; init; }

    /// <summary>The blocks that follow.</summary>
    internal required IReadOnlyList<SequenceBlock> Blocks { get; init; }

    /// <summary>Writes it.</summary>
    internal ReadOnlyMemory<byte> Write()
    {
        var writer = new MessageWriter();
        writer.Byte((byte)Reason);
        DescriptorCodec.Write(writer, Namespace);
        writer.Text(Manifest.Name);
        MessageShapes.Write(writer, Manifest.Digests, Manifest.Rotation);
        writer.Long(Manifest.Tokens);
        writer.Long(Manifest.Epoch);
        writer.Long(Manifest.Version);
        writer.Flag(Manifest.IsClosed);
        writer.Int(Keep);
        writer.Long(BaseEpoch);
        writer.Long(BaseVersion);
        writer.Ids([.. Blocks.Select(block => block.Id)]);
        writer.Numbers<uint>([.. Blocks.Select(block => block.PayloadCrc)]);
        writer.Numbers<byte>([.. Blocks.Select(block => (byte)(block.IsAlone ? 1 : 0))]);
        return writer.Written;
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static ManifestMessage? Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessageReader(body);
        var reason = (ManifestReason)reader.Byte();
        if (DescriptorCodec.Read(ref reader) is not { } ns) return null;
        string name = reader.Text();
        if (!MessageShapes.TryRead(ref reader, out DigestSpec[] digests, out RopeRotation? rotation)) return null;
        var manifest = new SequenceManifest
        {
            Namespace = ns.Id,
            Name = name,
            Digests = digests,
            Rotation = rotation,
            Tokens = reader.Long(),
            Epoch = reader.Long(),
            Version = reader.Long(),
            IsClosed = reader.Flag(),
        };
        int keep = reader.Int();
        (long baseEpoch, long baseVersion) = (reader.Long(), reader.Long());
        BlockId[] ids = reader.Ids();
        uint[] crcs = reader.Numbers<uint>();
        byte[] alone = reader.Numbers<byte>();
        if (!reader.IsDone || keep < 0 || crcs.Length != ids.Length || alone.Length != ids.Length || !Enum.IsDefined(reason)) return null;
        long blocks = (long)keep + ids.Length;
        long most = blocks * ns.Profile.BlockTokens;
        if (manifest.Tokens > most || manifest.Tokens <= most - Math.Max(1, ns.Profile.BlockTokens)) return null;
        return new ManifestMessage
        {
            Namespace = ns,
            Reason = reason,
            Manifest = manifest,
            Keep = keep,
            BaseEpoch = baseEpoch,
            BaseVersion = baseVersion,
            Blocks = [.. ids.Select((id, i) => new SequenceBlock(id, 0, crcs[i], null, alone[i] != 0))],
        };
    }
}
