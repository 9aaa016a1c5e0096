namespace KvTier.Protocol;

/// <summary>Who asks, and what for. The numbers are part of the wire protocol.</summary>
public enum RouteRole : byte
{
    /// <summary>A client.</summary>
    Client = 0,

    /// <summary>A silo that replicates a put.</summary>
    Replica = 1,

    /// <summary>A silo that hands blocks over to one that is to hold them.</summary>
    HandOver = 2,

    /// <summary>A silo that reads: what is here is served, whoever owns it, and nothing is fetched from elsewhere.</summary>
    PeerRead = 3,

    /// <summary>The same from a client that asks a second silo.</summary>
    Hedge = 4,
}

/// <summary>
/// What a request says to a cluster: three elements at the end of its body. The default says nothing and is not written.
/// </summary>
/// <param name="Epoch">The sender's epoch; 0 outside of a cluster.</param>
/// <param name="Role">Who asks, and what for.</param>
/// <param name="Groups">The group of each block; empty when each is a group of its own.</param>
public readonly ref struct Route(long Epoch, RouteRole Role, ReadOnlySpan<BlockId> Groups)
{
    internal const int Fields = 3;

    private readonly long epoch = Epoch;
    private readonly RouteRole role = Role;
    private readonly ReadOnlySpan<BlockId> groups = Groups;

    /// <summary>Elements that it adds to a body.</summary>
    internal int FieldCount => epoch == 0 && role == RouteRole.Client && groups.IsEmpty ? 0 : Fields;

    /// <summary>Elements of a body from these on.</summary>
    /// <param name="after">How many follow these, which then stand there even when they say nothing.</param>
    internal int FieldsBefore(int after) => after == 0 ? FieldCount : Fields + after;

    /// <summary>Writes the elements.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="count">Blocks of the request; there are as many groups, or none.</param>
    /// <param name="always">True when something follows it, so that it stands there even when it says nothing.</param>
    internal void Write(FrameBuffer buffer, int count, bool always = false)
    {
        if (FieldCount == 0 && !always) return;
        if (!groups.IsEmpty) ArgumentOutOfRangeException.ThrowIfNotEqual(groups.Length, count, nameof(Groups));
        var writer = new MessagePackWriter(buffer);
        writer.Write(epoch);
        writer.Write((uint)role);
        if (groups.IsEmpty) writer.WriteNil();
        else writer.WriteIds(buffer, groups);
    }
}

/// <summary>A <see cref="Route"/> as it stands in a body.</summary>
public readonly ref struct RouteView
{
    /// <summary>The sender's epoch; 0 when it has none.</summary>
    public long Epoch { get; private init; }

    /// <summary>Who asks, and what for.</summary>
    public RouteRole Role { get; private init; }

    /// <summary>The group of each block; empty when each is a group of its own.</summary>
    public IdList Groups { get; private init; }

    /// <summary>The group of a block.</summary>
    /// <param name="index">Its place in the request.</param>
    /// <param name="id">Its id, which is its group where none is given.</param>
    public BlockId GroupOf(int index, BlockId id) => Groups.Count == 0 ? id : Groups[index];

    /// <summary>Reads the elements, or nothing where a body ends before them.</summary>
    internal static RouteView Read(scoped ref BodyReader reader) => !reader.TryOptional(Route.Fields) ? default : new RouteView
    {
        Epoch = reader.Long("epoch"),
        Role = (RouteRole)reader.Unsigned("role", (ulong)RouteRole.Hedge),
        Groups = reader.TryNil() ? default : new IdList(reader.Blob("groups", BlockId.SizeBytes, int.MaxValue / BlockId.SizeBytes)),
    };

    /// <summary>Sees that there is a group for each block, or none at all.</summary>
    internal static void Check(ref BodyReader reader, scoped RouteView route, int count)
    {
        if (reader.IsOk && route.Groups.Count != 0 && route.Groups.Count != count)
            reader.Refuse("groups.count", $"{route.Groups.Count}", $"{count}, one for each block, or nil");
    }
}
