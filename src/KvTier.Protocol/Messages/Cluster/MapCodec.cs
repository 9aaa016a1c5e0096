namespace KvTier.Protocol;

/// <summary>
/// A <see cref="ClusterMap"/> inside of a body: <c>[membersEpoch, [silo, …], replicas, {namespace: replicas}, [movedTo, …],
/// moved groups, movedSilos]</c>. Its epoch and the cluster's name stand outside of it.
/// </summary>
internal static class MapCodec
{
    private const int Fields = 4 + MovedCodec.Fields;
    private const int NamespaceNameBytesMax = 512;

    public static void Write(FrameBuffer buffer, ClusterMap map)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(map.MembersEpoch);
        writer.WriteArrayHeader(map.Silos.Count);
        foreach (SiloEntry silo in map.Silos) SiloCodec.Write(writer, silo);
        writer.Write(map.Settings.Replicas);
        writer.WriteMapHeader(map.Settings.NamespaceReplicas.Count);
        foreach ((string name, int replicas) in map.Settings.NamespaceReplicas.OrderBy(each => each.Key, StringComparer.Ordinal))
        {
            writer.Write(name);
            writer.Write(replicas);
        }

        MovedCodec.Write(buffer, map.Moved);
    }

    /// <summary>Reads a map.</summary>
    /// <returns>The map; null when the reader has an error.</returns>
    public static ClusterMap? Read(ref BodyReader reader, string cluster, long epoch)
    {
        int extra = reader.BeginItem("map", Fields);
        long membersEpoch = reader.Long("membersEpoch", epoch);
        List<SiloEntry> silos = ReadSilos(ref reader, epoch);
        ClusterSettings settings = ReadSettings(ref reader);
        Dictionary<BlockId, string> moved = MovedCodec.Read(ref reader);
        reader.EndItem("map", extra);
        return reader.IsOk ? new ClusterMap(cluster, epoch, membersEpoch, silos, settings, moved) : null;
    }

    private static List<SiloEntry> ReadSilos(ref BodyReader reader, long epoch)
    {
        int count = reader.List("silos", ClusterMap.SilosMax);
        var silos = new List<SiloEntry>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            SiloEntry silo = SiloCodec.Read(ref reader, epoch);
            if (reader.IsOk && !names.Add(silo.Name)) reader.Refuse("name", $"{silo.Name} twice", "each name once");
            silos.Add(silo);
        }

        reader.At(-1);
        return silos;
    }

    private static ClusterSettings ReadSettings(ref BodyReader reader)
    {
        int replicas = reader.Int("replicas", ClusterSettings.ReplicasMax, 1);
        int count = reader.Map("namespaceReplicas");
        var byName = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            string name = reader.Text("namespaceReplicas.name", NamespaceNameBytesMax);
            byName[name] = reader.Int("namespaceReplicas", ClusterSettings.ReplicasMax, 1);
        }

        return new ClusterSettings { Replicas = replicas, NamespaceReplicas = byName };
    }
}
