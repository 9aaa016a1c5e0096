using System.Text;

namespace KvTier.Cluster.Tests.Node;

/// <summary>A block whose bytes follow from its number and version.</summary>
internal sealed record TestBlock(NamespaceDescriptor Namespace, int Number, BlockId Group, int Version = 0)
{
    public static NamespaceDescriptor Opaque { get; } = new("test", new ModelProfile { Name = "opaque", Kind = AttentionKind.Opaque });

    public static NamespaceDescriptor Mutable { get; } = new("resp", new ModelProfile { Name = "0", Kind = AttentionKind.Opaque });

    public int PayloadBytes { get; init; } = 1000;

    public byte[] Key => Encoding.UTF8.GetBytes($"key {Number}");

    public BlockId Id => BlockId.Compute(Namespace.Id, Key);

    public byte[] Payload => Encoding.UTF8.GetBytes($"{Namespace.Name} {Number} {Version} {new string('x', PayloadBytes)}");

    /// <summary>A block that is its own group.</summary>
    public static TestBlock Of(int number, NamespaceDescriptor? ns = null, int version = 0)
    {
        ns ??= Opaque;
        return new TestBlock(ns, number, BlockId.Compute(ns.Id, Encoding.UTF8.GetBytes($"key {number}")), version);
    }

    /// <summary>Blocks of one group.</summary>
    public static TestBlock[] OfGroup(int first, int count)
    {
        BlockId group = Of(first).Id;
        return [.. Enumerable.Range(first, count).Select(number => new TestBlock(Opaque, number, group))];
    }

    public StoredBlock ToStored()
    {
        byte[] payload = Payload;
        return new StoredBlock(Id, Group, Key, 0, Crc32C.Compute(payload), 0, payload);
    }
}
