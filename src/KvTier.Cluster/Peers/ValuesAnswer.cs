using KvTier.Protocol;

namespace KvTier.Cluster;

/// <summary>What a silo knows of a mutable value.</summary>
internal enum ValueState : byte
{
    /// <summary>It is not here, which says nothing: it may be where it was before.</summary>
    Unknown = 0,

    /// <summary>It is here.</summary>
    Here = 1,

    /// <summary>It does not exist: it was never set, was deleted, or gave way, as of the epoch.</summary>
    Absent = 2,
}

/// <summary>What a silo knows of a mutable value.</summary>
/// <param name="State">What it knows.</param>
/// <param name="OwnedAt">Newest epoch in which it owned the group; 0 when it does not know of any. The newest owner is right.</param>
internal readonly record struct ValueKnown(ValueState State, long OwnedAt)
{
    /// <summary>Names of the silos that owned it since: what is here is right only if none of them says otherwise.</summary>
    public IReadOnlyList<string> Between { get; init; } = [];
}

/// <summary>An answer to <see cref="BlockOps.Values"/>: <c>[[state u, ownedAt u, between [str, …]], …]</c>.</summary>
/// <param name="Values">One for each that was asked for.</param>
internal sealed record ValuesAnswer(ValueKnown[] Values)
{
    private const int ItemFields = 2;
    private const int BetweenMax = 1024;

    /// <summary>Encodes it.</summary>
    public byte[] Write()
    {
        using var buffer = new FrameBuffer();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(1);
        writer.WriteArrayHeader(Values.Length);
        foreach (ValueKnown value in Values)
        {
            writer.WriteArrayHeader(ItemFields + 1);
            writer.Write((uint)value.State);
            writer.Write(value.OwnedAt);
            IReadOnlyList<string> between = value.Between ?? [];
            writer.WriteArrayHeader(between.Count);
            foreach (string silo in between) writer.Write(silo);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Decodes the answer to a question about so many values.</summary>
    public static Result<ValuesAnswer> Read(ReadOnlySpan<byte> body, int count)
    {
        var reader = new MessagePackReader(body);
        int extra = reader.ReadArrayHeader() - 1;
        if (reader.ReadArrayHeader() != count) reader.Fail();
        var values = new ValueKnown[reader.IsOk ? count : 0];
        for (int i = 0; i < values.Length; i++)
        {
            int more = reader.ReadArrayHeader() - ItemFields;
            values[i] = new ValueKnown((ValueState)reader.ReadByte(), reader.ReadInt64());
            if (more > 0) values[i] = values[i] with { Between = ReadNames(ref reader) };
            for (int j = 1; j < more; j++) reader.Skip();
            if (more < 0 || values[i].State > ValueState.Absent) reader.Fail();
        }

        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End)
            return KvError.InvalidArgument("peer.body", "malformed", $"[[state u, ownedAt u, between], …] of {count}");
        return new ValuesAnswer(values);
    }

    private static string[] ReadNames(ref MessagePackReader reader)
    {
        int count = reader.ReadArrayHeader();
        if (count is < 0 or > BetweenMax) reader.Fail();
        var names = new string[reader.IsOk ? count : 0];
        for (int i = 0; i < names.Length; i++) names[i] = reader.ReadString();
        return names;
    }
}
