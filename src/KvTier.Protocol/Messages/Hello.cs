namespace KvTier.Protocol;

/// <summary>The first request of a connection.</summary>
/// <param name="VersionMin">Lowest version of the protocol that the client speaks.</param>
/// <param name="VersionMax">Highest one.</param>
/// <param name="Client">Name and version of the client, for logs.</param>
/// <param name="Token">The access token; null when the silo asks for none.</param>
/// <param name="Probe">The client's <see cref="WireBounds.Probe"/>; a silo that computes another one refuses.</param>
public sealed record HelloRequest(byte VersionMin, byte VersionMax, string Client, string? Token, BlockId Probe)
{
    private const int Fields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)VersionMin);
        writer.Write((uint)VersionMax);
        writer.Write(Client);
        writer.Write(Token);
        Span<byte> probe = stackalloc byte[BlockId.SizeBytes];
        Probe.WriteTo(probe);
        writer.Write(probe);
    }

    /// <summary>Reads the body.</summary>
    public static Result<HelloRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "hello", Fields);
        byte versionMin = (byte)reader.Unsigned("versionMin", byte.MaxValue);
        byte versionMax = (byte)reader.Unsigned("versionMax", byte.MaxValue);
        string client = reader.Text("client", WireBounds.NameBytesMax);
        string? token = reader.TryNil() ? null : reader.Text("token", WireBounds.TokenBytesMax);
        ReadOnlySpan<byte> probe = reader.Bytes("probe", BlockId.SizeBytes, BlockId.SizeBytes);
        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return new HelloRequest(versionMin, versionMax, client, token, BlockId.Read(probe));
    }
}

/// <summary>The answer to <see cref="HelloRequest"/>.</summary>
/// <param name="Version">The version that both speak from now on.</param>
/// <param name="Silo">The silo's name.</param>
/// <param name="SiloVersion">Version of its software.</param>
/// <param name="Arena">The arena that this client may map; null when it may not.</param>
/// <param name="Limits">The silo's limits.</param>
public sealed record HelloResponse(byte Version, string Silo, string SiloVersion, SharedArenaInfo? Arena, Limits Limits)
{
    private const int Fields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)Version);
        writer.Write(Silo);
        writer.Write(SiloVersion);
        if (Arena is null) writer.WriteNil();
        else LocalAttachResponse.Write(buffer, Arena);
        LimitsCodec.Write(buffer, Limits);
    }

    /// <summary>Reads the body.</summary>
    public static Result<HelloResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "hello", Fields);
        byte version = (byte)reader.Unsigned("version", byte.MaxValue);
        string silo = reader.Text("silo", WireBounds.NameBytesMax);
        string siloVersion = reader.Text("siloVersion", WireBounds.NameBytesMax);
        SharedArenaInfo? arena = null;
        if (reader.IsOk && !reader.TryNil())
        {
            int extra = reader.BeginItem("arena", LocalAttachResponse.Fields);
            arena = LocalAttachResponse.ReadFields(ref reader);
            reader.EndItem("arena", extra);
        }

        Limits limits = LimitsCodec.Read(ref reader);
        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return new HelloResponse(version, silo, siloVersion, arena, limits);
    }
}
