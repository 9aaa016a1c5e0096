namespace KvTier.Recall;

/// <summary>Namespaces in messages between silos.</summary>
internal static class DescriptorCodec
{
    /// <summary>Writes one.</summary>
    internal static void Write(MessageWriter writer, NamespaceDescriptor ns)
    {
        ModelProfile profile = ns.Profile;
        writer.Text(ns.Tenant);
        writer.Text(profile.Name);
        writer.Byte((byte)profile.Kind);
        writer.Int(profile.Layers);
        writer.Int(profile.KvHeads);
        writer.Int(profile.HeadDim);
        writer.Byte((byte)profile.Dtype);
        writer.Int(profile.BlockTokens);
        writer.Double(profile.Rope.Theta);
        writer.Double(profile.Rope.ScalingFactor);
        writer.Flag(profile.Rope.PreRotation);
    }

    /// <summary>Reads one.</summary>
    /// <returns>Null when it is none that can be.</returns>
    internal static NamespaceDescriptor? Read(ref MessageReader reader)
    {
        string tenant = reader.Text();
        var profile = new ModelProfile
        {
            Name = reader.Text(),
            Kind = (AttentionKind)reader.Byte(),
            Layers = reader.Int(),
            KvHeads = reader.Int(),
            HeadDim = reader.Int(),
            Dtype = (Dtype)reader.Byte(),
            BlockTokens = reader.Int(),
            Rope = new RopeParameters(reader.Double(), reader.Double(), reader.Flag()),
        };
        var descriptor = new NamespaceDescriptor(tenant, profile);
        return descriptor.Validate() is null && profile.Kind != AttentionKind.Opaque && !descriptor.IsInternal ? descriptor : null;
    }
}
