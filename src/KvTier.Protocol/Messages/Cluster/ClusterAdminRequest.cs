namespace KvTier.Protocol;

/// <summary>What an operator asks of the cluster; it is answered by a <see cref="StatResponse"/>.</summary>
/// <param name="Verb">Such as <c>drain</c>; 1 to <see cref="WireBounds.VerbBytesMax"/> bytes.</param>
/// <param name="Arguments">Its arguments, at most <see cref="WireBounds.VerbArgumentsMax"/>.</param>
/// <param name="DeadlineMs">Deadline in ms; 0 for the silo's default.</param>
public sealed record ClusterAdminRequest(string Verb, IReadOnlyList<string> Arguments, int DeadlineMs)
{
    private const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Verb);
        writer.WriteArrayHeader(Arguments.Count);
        foreach (string argument in Arguments) writer.Write(argument);
        writer.Write(DeadlineMs);
    }

    /// <summary>Reads the body.</summary>
    public static Result<ClusterAdminRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "clusterAdmin", Fields);
        string verb = reader.Text("verb", WireBounds.VerbBytesMax);
        if (reader.IsOk && verb.Length == 0) reader.Refuse("verb.length", "0", $"1 to {WireBounds.VerbBytesMax}");
        int count = reader.List("arguments", WireBounds.VerbArgumentsMax);
        var arguments = new List<string>();
        for (int i = 0; i < count && reader.IsOk; i++) arguments.Add(reader.Text("arguments", WireBounds.VerbArgumentBytesMax));
        int deadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        reader.Finish();
        return reader.Error is null ? new ClusterAdminRequest(verb, arguments, deadlineMs) : reader.Error;
    }
}
