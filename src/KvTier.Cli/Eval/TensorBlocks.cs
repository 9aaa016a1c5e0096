using System.Buffers.Binary;
using KvTier.Client;
using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>Tensors as the blocks of one sequence, <c>[layer][K,V][kv head][token][dim]</c>; the last block may be partly filled, with
/// zeros behind its tokens. With several layers, KV head h of layer l has the tensors of head (h + l) mod Hkv.</summary>
internal sealed class TensorBlocks
{
    /// <summary>Tokens of a block: a multiple of every chunk size.</summary>
    public const int BlockTokens = 64;

    private const int PutBytesMax = 16 << 20;
    private readonly RecallTensors tensors;
    private readonly BlockLayout layout;

    /// <summary>Blocks of some layers.</summary>
    public TensorBlocks(string profileName, RecallTensors tensors, int layers = 1)
    {
        this.tensors = tensors;
        Profile = new ModelProfile
        {
            Name = profileName,
            Kind = AttentionKind.Gqa,
            Layers = layers,
            KvHeads = tensors.KvHeads,
            HeadDim = tensors.HeadDim,
            Dtype = tensors.Dtype,
            BlockTokens = BlockTokens,
            Rope = new RopeParameters(0),
        };
        Profile.Validate().OrFail();
        layout = new BlockLayout(Profile);
        Count = (tensors.Tokens + BlockTokens - 1) / BlockTokens;
    }

    /// <summary>The shape of the blocks.</summary>
    public ModelProfile Profile { get; }

    /// <summary>How many blocks.</summary>
    public int Count { get; }

    /// <summary>Tokens of them all.</summary>
    public int Tokens => tensors.Tokens;

    /// <summary>Bytes of them all.</summary>
    public long Bytes => Count * Profile.BlockBytes;

    /// <summary>The key of a block.</summary>
    public static byte[] KeyOf(int block)
    {
        byte[] key = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(key, block);
        return key;
    }

    /// <summary>Writes a block's payload.</summary>
    public void Fill(int block, Span<byte> payload)
    {
        payload.Clear();
        int first = block * BlockTokens;
        int tokens = Math.Min(BlockTokens, Tokens - first);
        int elements = tokens * tensors.HeadDim;
        for (int layer = 0; layer < Profile.Layers; layer++)
        {
            for (int head = 0; head < tensors.KvHeads; head++)
            {
                int source = (head + layer) % tensors.KvHeads;
                ReadOnlySpan<float> keys = tensors.Rows(tensors.Keys, source).Slice(first * tensors.HeadDim, elements);
                ReadOnlySpan<float> values = tensors.Rows(tensors.Values, source).Slice(first * tensors.HeadDim, elements);
                int bytes = tokens * layout.RowBytes;
                RowConvert.FromSingle(layout.Dtype, keys, payload.Slice((int)layout.KeyOffset(layer, head, 0), bytes));
                RowConvert.FromSingle(layout.Dtype, values, payload.Slice((int)layout.ValueOffset(layer, head, 0), bytes));
            }
        }
    }

    /// <summary>The queries of a layer at a step, <c>[Hq, D]</c>: each group asks the KV head that has its tensors.</summary>
    public float[] QueriesOf(int step, int layer)
    {
        float[] queries = new float[tensors.QueryHeads * tensors.HeadDim];
        int group = tensors.Group * tensors.HeadDim;
        for (int head = 0; head < tensors.KvHeads; head++)
        {
            int source = (head + layer) % tensors.KvHeads;
            tensors.QueriesOf(step).Span.Slice(source * group, group).CopyTo(queries.AsSpan(head * group));
        }

        return queries;
    }

    /// <summary>Stores every block.</summary>
    /// <param name="ns">Where; its profile is <see cref="Profile"/>.</param>
    /// <param name="ack">How far each is to be before the next ones go.</param>
    /// <param name="cancel">Ends it early.</param>
    /// <returns>Their ids in order.</returns>
    public async Task<BlockId[]> StoreAsync(KvNamespace ns, AckLevel ack, CancellationToken cancel)
    {
        int blockBytes = (int)Profile.BlockBytes;
        int batch = Math.Clamp(PutBytesMax / blockBytes, 1, 64);
        byte[] room = GC.AllocateUninitializedArray<byte>(batch * blockBytes);
        var ids = new BlockId[Count];
        for (int at = 0; at < Count; at += batch)
        {
            var puts = new PutBlock[Math.Min(batch, Count - at)];
            int start = at;
            Parallel.For(0, puts.Length, i =>
            {
                Fill(start + i, room.AsSpan(i * blockBytes, blockBytes));
                puts[i] = new PutBlock(KeyOf(start + i), room.AsMemory(i * blockBytes, blockBytes));
            });
            PutSummary summary = (await ns.PutAsync(puts, options: new PutOptions { Ack = ack }, cancellationToken: cancel)).OrFail();
            summary.Error.OrFail();
            for (int i = 0; i < puts.Length; i++) ids[at + i] = ns.IdOf(KeyOf(at + i));
        }

        return ids;
    }
}
