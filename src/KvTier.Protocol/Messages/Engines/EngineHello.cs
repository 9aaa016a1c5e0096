namespace KvTier.Protocol;

/// <summary>An engine says how it makes keys and bytes in a namespace.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="DeadlineMs">Deadline in ms; 0 for the silo's default.</param>
/// <param name="Engine">Such as <c>vllm</c>; 1 to <see cref="WireBounds.EngineTextBytesMax"/> bytes.</param>
/// <param name="Version">Its version.</param>
/// <param name="Instance">Which one of its kind, the same after a restart, such as host and rank; 1 or more bytes.</param>
/// <param name="Fields">What has to agree, by name; at most <see cref="WireBounds.EngineFieldsMax"/>.</param>
public sealed record EngineHelloRequest(
    ushort Namespace, int DeadlineMs, string Engine, string Version, string Instance, IReadOnlyDictionary<string, string> Fields)
{
    private const int FieldCount = 6;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(FieldCount);
        writer.Write((uint)Namespace);
        writer.Write(DeadlineMs);
        writer.Write(Engine);
        writer.Write(Version);
        writer.Write(Instance);
        writer.WriteMapHeader(Fields.Count);
        foreach ((string name, string value) in Fields)
        {
            writer.Write(name);
            writer.Write(value);
        }
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<EngineHelloRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "engineHello", FieldCount);
        var ns = (ushort)reader.Unsigned("ns", ushort.MaxValue);
        int deadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        string engine = reader.Text("engine", WireBounds.EngineTextBytesMax);
        string version = reader.Text("version", WireBounds.EngineTextBytesMax);
        string instance = reader.Text("instance", WireBounds.EngineTextBytesMax);
        if (reader.IsOk && engine.Length == 0) reader.Refuse("engine.length", "0", $"1 to {WireBounds.EngineTextBytesMax}");
        if (reader.IsOk && instance.Length == 0) reader.Refuse("instance.length", "0", $"1 to {WireBounds.EngineTextBytesMax}");
        int count = reader.Map("fields");
        if (count > WireBounds.EngineFieldsMax)
            reader.Refuse(KvError.LimitExceeded("engineHello.fields.count", count, WireBounds.EngineFieldsMax));
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            string name = reader.Text("fields.name", WireBounds.EngineTextBytesMax);
            fields[name] = reader.Text("fields.value", WireBounds.EngineTextBytesMax);
        }

        reader.Finish();
        return reader.Error is null ? new EngineHelloRequest(ns, deadlineMs, engine, version, instance, fields) : reader.Error;
    }
}

/// <summary>One thing in which two engines of a namespace differ.</summary>
/// <param name="Field">Its name, such as <c>seed</c>.</param>
/// <param name="Mine">What the engine said that asks.</param>
/// <param name="Theirs">What the other one said.</param>
/// <param name="Whose">Which other one: engine, version and instance.</param>
/// <param name="Fix">What to set.</param>
public sealed record EngineDifference(string Field, string Mine, string Theirs, string Whose, string Fix);

/// <summary>What the silo knows of the engines of a namespace.</summary>
/// <param name="Engines">Engines known in it, the one that asks included.</param>
/// <param name="Complete">False when the silo that knows all of them could not be asked.</param>
/// <param name="Differences">Where the engine that asks differs from others; empty when all is well.</param>
public sealed record EngineHelloResponse(int Engines, bool Complete, IReadOnlyList<EngineDifference> Differences)
{
    private const int FieldCount = 3;
    private const int DifferenceFields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(FieldCount);
        writer.Write(Engines);
        writer.Write(Complete);
        writer.WriteArrayHeader(Differences.Count);
        foreach (EngineDifference each in Differences)
        {
            writer.WriteArrayHeader(DifferenceFields);
            writer.Write(each.Field);
            writer.Write(each.Mine);
            writer.Write(each.Theirs);
            writer.Write(each.Whose);
            writer.Write(each.Fix);
        }
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<EngineHelloResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "engineHello", FieldCount);
        int engines = reader.Int("engines", int.MaxValue);
        bool complete = reader.Bool("complete");
        int count = reader.List("differences", WireBounds.EngineDifferencesMax);
        var differences = new List<EngineDifference>();
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("difference", DifferenceFields);
            differences.Add(new EngineDifference(
                Text(ref reader, "field"), Text(ref reader, "mine"), Text(ref reader, "theirs"), Text(ref reader, "whose"),
                Text(ref reader, "fix")));
            reader.EndItem("difference", extra);
        }

        reader.Finish();
        return reader.Error is null ? new EngineHelloResponse(engines, complete, differences) : reader.Error;
    }

    private static string Text(ref BodyReader reader, string field) => reader.Text(field, WireBounds.EngineFixBytesMax);
}
