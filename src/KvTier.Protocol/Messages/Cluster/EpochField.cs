namespace KvTier.Protocol;

/// <summary>An epoch at the end of a body; 0, for a peer outside of a cluster, is not written.</summary>
internal static class EpochField
{
    public static int CountOf(long epoch) => epoch == 0 ? 0 : 1;

    public static void Write(MessagePackWriter writer, long epoch)
    {
        if (epoch != 0) writer.Write(epoch);
    }

    public static long Read(ref BodyReader reader) => reader.TryOptional(1) ? reader.Long("epoch") : 0;
}

/// <summary>Epoch and copies at the end of the answer to a get.</summary>
internal readonly record struct CopiesFields(long Epoch, int Copies)
{
    private const int Fields = 2;

    public int Count => Epoch == 0 ? 0 : Fields;

    public void Write(MessagePackWriter writer)
    {
        if (Epoch == 0) return;
        writer.Write(Epoch);
        writer.Write(Copies);
    }

    public static CopiesFields Read(ref BodyReader reader) => reader.TryOptional(Fields)
        ? new CopiesFields(reader.Long("epoch"), reader.Int("copies", ClusterMap.SilosMax))
        : new CopiesFields(0, 1);
}
