using System.Runtime.InteropServices;
using System.Text;
using KvTier.Protocol;

namespace KvTier.Silo.Tests.Support;

/// <summary>A stored sequence and requests about it, over frames alone.</summary>
internal static class SequenceCalls
{
    public const int QueryHeads = 4;

    public static readonly ModelProfile Profile = new()
    {
        Name = "tiny",
        Kind = AttentionKind.Gqa,
        Layers = 1,
        KvHeads = 2,
        HeadDim = 64,
        Dtype = Dtype.Float32,
        BlockTokens = 16,
        Rope = new RopeParameters(10_000),
    };

    public static readonly Selector Whole = Selectors.TriForce with { Budget = new RecallBudget(BudgetKind.Share, 1) };

    public static NamespaceDescriptor Namespace { get; } = new("acme", Profile);

    /// <summary>Head of a recall of one query, fp32.</summary>
    public static RecallHead Head(RawClient client, RecallMode mode) => new()
    {
        Namespace = client.Namespace,
        Mode = mode,
        QueryHeads = QueryHeads,
        Window = 1,
        HeadDim = Profile.HeadDim,
        Dtype = Dtype.Float32,
        Layout = GatherLayout.KvHeadToken,
        Temperature = 1,
        LseMultiplier = 1,
        Selector = Whole,
    };

    public static RecallShape Shape(RecallMode mode) =>
        new(mode, 1, 1, QueryHeads, Profile.KvHeads, Profile.HeadDim, 2 * Profile.HeadDim * sizeof(float));

    /// <summary>Numbers that fp16 and bf16 hold exactly.</summary>
    public static float[] Queries() => [.. Enumerable.Range(0, QueryHeads * Profile.HeadDim).Select(i => ((i * 7 % 9) - 4) / 4f)];

    public static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    /// <summary>Stores blocks of keys and values that are small numbers, and opens a sequence of them.</summary>
    public static SequenceEntry Store(RawClient client, string name, int blocks)
    {
        for (int block = 0; block < blocks; block++)
        {
            string key = $"{name}/{block}";
            int count = (int)Profile.BlockBytes / sizeof(float);
            float[] values = [.. Enumerable.Range(0, count).Select(i => (((i + block) * 31 % 17) - 8) / 8f)];
            byte[] bytes = Bytes(values);
            Reply put = client.Ask(
                Opcode.Put,
                buffer => PutRequestWriter.Begin(buffer, client.Namespace, AckLevel.Memory, PutFlags.None, 0, 0, 1)
                    .Add(Encoding.UTF8.GetBytes(key), bytes.Length, 0, Blocks.Check(client.Id(key), bytes)),
                bytes);
            Assert.Equal([PutItemStatus.Stored], Blocks.ReadPut(put, 1).Statuses);
        }

        var open = new SequenceOpenRequest(client.Namespace, 0, name, [Whole.Digest], null);
        Assert.Equal(0, SequenceEntry.Read(client.Ask(Opcode.SequenceOpen, open.Write).Ok()).Value.Tokens);
        BlockId[] ids = [.. Enumerable.Range(0, blocks).Select(i => client.Id($"{name}/{i}"))];
        Reply append = client.Ask(Opcode.SequenceAppend, buffer => SequenceAppendRequest.Write(
            buffer, client.Namespace, 0, name, blocks * Profile.BlockTokens, replaceLast: false, expectedTokens: 0, ids));
        return SequenceEntry.Read(append.Ok()).Value;
    }

    public static Action<FrameBuffer> Body(RecallHead head, byte[] queries, string sequence = "a", int layer = 0)
    {
        RecallHead sent = head.QueryCheck == 0 ? head with { QueryCheck = Crc32C.Compute(queries) } : head;
        return buffer => RecallRequestWriter.Begin(buffer, sent, 1).Add(sequence, layer, []);
    }
}
