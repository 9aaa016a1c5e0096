namespace KvTier.Protocol;

/// <summary>A namespace on the wire: <c>tenant str, profile</c>, where a profile is an array of ten fields.</summary>
internal static class ProfileCodec
{
    private const int Fields = 10;

    public static void Write(FrameBuffer buffer, ModelProfile profile)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(profile.Name);
        writer.Write((uint)profile.Kind);
        writer.Write(profile.Layers);
        writer.Write(profile.KvHeads);
        writer.Write(profile.HeadDim);
        writer.Write(profile.Dtype.Name());
        writer.Write(profile.BlockTokens);
        writer.Write(profile.Rope.Theta);
        writer.Write(profile.Rope.ScalingFactor);
        writer.Write(profile.Rope.PreRotation);
    }

    /// <summary>Reads tenant and profile, and validates the descriptor made of them.</summary>
    /// <returns>Null when the reader has an error.</returns>
    public static NamespaceDescriptor? ReadDescriptor(ref BodyReader reader)
    {
        string tenant = reader.Text("tenant", Names.LengthMax);
        int extra = reader.BeginItem("profile", Fields);
        string name = reader.Text("profile.name", Names.LengthMax);
        var kind = (AttentionKind)reader.Unsigned("profile.kind", byte.MaxValue);
        int layers = reader.Int("profile.layers", int.MaxValue);
        int kvHeads = reader.Int("profile.kvHeads", int.MaxValue);
        int headDim = reader.Int("profile.headDim", int.MaxValue);
        string dtypeName = reader.Text("profile.dtype", Names.LengthMax);
        int blockTokens = reader.Int("profile.blockTokens", int.MaxValue);
        double theta = reader.Double("profile.ropeTheta");
        double scaling = reader.Double("profile.ropeScaling");
        bool preRotation = reader.Bool("profile.preRotation");
        reader.EndItem("profile", extra);
        if (!reader.IsOk) return null;
        if (!DtypeExtensions.TryParse(dtypeName, out Dtype dtype))
        {
            reader.Refuse("profile.dtype", dtypeName, string.Join(", ", Enum.GetValues<Dtype>().Select(known => known.Name())));
            return null;
        }

        var profile = new ModelProfile
        {
            Name = name,
            Kind = kind,
            Layers = layers,
            KvHeads = kvHeads,
            HeadDim = headDim,
            Dtype = dtype,
            BlockTokens = blockTokens,
            Rope = new RopeParameters(theta, scaling, preRotation),
        };
        var descriptor = new NamespaceDescriptor(tenant, profile);
        if (descriptor.Validate() is not { } error) return descriptor;
        reader.Refuse(error);
        return null;
    }
}
