using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using KvTier.Testing;

namespace KvTier.Simulation;

/// <summary>What clients store: sequences of blocks whose bytes follow from their ids, and values that say which version they are.
/// </summary>
internal static class Workload
{
    /// <summary>Sequences of blocks.</summary>
    internal const int Sequences = 48;

    /// <summary>Blocks of a sequence: four runs, so four groups.</summary>
    internal const int SequenceBlocks = 20;

    /// <summary>Values that change.</summary>
    internal const int Values = 8;

    private const int ValueBytes = 96;

    /// <summary>The namespace of blocks.</summary>
    internal static NamespaceDescriptor Blocks { get; } = new("sim", Profiles.Opaque);

    /// <summary>The namespace of values.</summary>
    internal static NamespaceDescriptor Mutable { get; } = new("resp", Profiles.Opaque with { Name = "opaque.0" });

    private static readonly SimBlock[][] sequences =
        [.. Enumerable.Range(0, Sequences).Select(sequence => MakeSequence(sequence))];

    private static readonly Dictionary<BlockId, SimBlock> byId = sequences.SelectMany(each => each).ToDictionary(block => block.Id);

    private static readonly BlockId[] valueIds =
        [.. Enumerable.Range(0, Values).Select(value => BlockId.Compute(Mutable.Id, ValueKey(value)))];

    /// <summary>The blocks of a sequence.</summary>
    internal static SimBlock[] Sequence(int sequence) => sequences[sequence % Sequences];

    /// <summary>A block by its id; null when it is none of these.</summary>
    internal static SimBlock? Find(BlockId id) => byId.GetValueOrDefault(id);

    /// <summary>Ids of the values, each its own group.</summary>
    internal static IReadOnlyList<BlockId> ValueIds => valueIds;

    /// <summary>A block as short text.</summary>
    internal static string Name(BlockId id) =>
        byId.TryGetValue(id, out SimBlock? block) ? Encoding.UTF8.GetString(block.Key)
        : Array.IndexOf(valueIds, id) is >= 0 and var value ? $"v{value}" : id.ToString()[..8];

    /// <summary>A value of a version as it is stored.</summary>
    internal static SimBlock Value(int value, int version)
    {
        byte[] bytes = new byte[ValueBytes];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, version);
        BlockBytes.Fill(new BlockId((ulong)value, (ulong)version), bytes.AsSpan(sizeof(int)));
        return new SimBlock(ValueKey(value), valueIds[value], valueIds[value], bytes);
    }

    /// <summary>The version that bytes are.</summary>
    /// <returns>-1 when they are no version of the value.</returns>
    internal static int VersionOf(int value, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != ValueBytes) return -1;
        int version = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        return BlockBytes.Verify(new BlockId((ulong)value, (ulong)version), bytes[sizeof(int)..]) ? version : -1;
    }

    private static byte[] ValueKey(int value) => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"v{value}"));

    private static SimBlock[] MakeSequence(int sequence)
    {
        var keys = new byte[SequenceBlocks][];
        var ids = new BlockId[SequenceBlocks];
        var groups = new BlockId[SequenceBlocks];
        for (int i = 0; i < SequenceBlocks; i++)
        {
            keys[i] = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"s{sequence}/{i}"));
            ids[i] = BlockId.Compute(Blocks.Id, keys[i]);
        }

        BlockGroups.Fill(ids, groups);
        return [.. ids.Select((id, i) => new SimBlock(keys[i], id, groups[i], MakePayload(id)))];
    }

    private static byte[] MakePayload(BlockId id)
    {
        // Few size classes, so that a small arena has room for all of them.
        int[] lengths = [100, 900, 6000, 12_000];
        byte[] payload = new byte[lengths[id.Low % 4] + (int)(id.High % 50)];
        BlockBytes.Fill(id, payload);
        return payload;
    }
}
