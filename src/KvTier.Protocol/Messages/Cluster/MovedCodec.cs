using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>
/// The moved groups of a map: names of silos, groups in ascending order, and for each group the index of a name. A name may be that of a
/// silo that is not in the map: then hashing decides.
/// </summary>
internal static class MovedCodec
{
    /// <summary>Elements that it takes.</summary>
    public const int Fields = 3;

    public static void Write(FrameBuffer buffer, IReadOnlyDictionary<BlockId, string> moved)
    {
        string[] names = [.. moved.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        BlockId[] groups = [.. moved.Keys.OrderBy(group => group.High).ThenBy(group => group.Low)];
        var indexes = names.Index().ToDictionary(each => each.Item, each => each.Index, StringComparer.Ordinal);
        int[] places = [.. groups.Select(group => indexes[moved[group]])];
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(names.Length);
        foreach (string name in names) writer.Write(name);
        writer.WriteIds(buffer, groups);
        writer.WriteInt32s(buffer, places);
    }

    public static Dictionary<BlockId, string> Read(ref BodyReader reader)
    {
        var names = new List<string>();
        int nameCount = reader.List("movedTo", ClusterMap.SilosMax);
        for (int i = 0; i < nameCount && reader.IsOk; i++) names.Add(SiloCodec.ReadName(ref reader, "movedTo"));
        var groups = new IdList(reader.Blob("moved", BlockId.SizeBytes, WireBounds.MovedGroupsMax));
        var places = new Int32List(reader.Blob("movedSilos", sizeof(int), WireBounds.MovedGroupsMax));
        var moved = new Dictionary<BlockId, string>();
        if (reader.IsOk && places.Count != groups.Count)
            reader.Refuse("movedSilos.count", $"{places.Count}", $"{groups.Count}, one for each group");
        for (int i = 0; i < groups.Count && reader.IsOk; i++)
        {
            int place = places[i];
            if ((uint)place >= (uint)names.Count)
                reader.Refuse("movedSilos", $"{place}", $"an index of the {names.Count} names");
            else if (!moved.TryAdd(groups[i], names[place]))
                reader.Refuse("moved", $"{groups[i]} twice", "each group once");
        }

        return moved;
    }
}
