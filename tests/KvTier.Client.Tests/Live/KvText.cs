using System.Runtime.InteropServices;

namespace KvTier.Client.Tests.Live;

/// <summary>Keys and values of some tokens from a seed, stored block by block, and attention over them in double precision.</summary>
internal sealed class KvText
{
    public const int QueryHeads = 4;

    public static readonly ModelProfile Profile = new()
    {
        Name = "tiny",
        Kind = AttentionKind.Gqa,
        Layers = 2,
        KvHeads = 2,
        HeadDim = 8,
        Dtype = Dtype.Float32,
        BlockTokens = 16,
        Rope = new RopeParameters(10_000),
    };

    private static readonly BlockLayout layout = new(Profile);
    private readonly List<byte[]> blocks = [];
    private readonly string name;

    public KvText(string name, int tokens, int seed)
    {
        this.name = name;
        Tokens = tokens;
        var random = new Random(seed);
        for (int first = 0; first < tokens; first += Profile.BlockTokens)
        {
            byte[] bytes = new byte[Profile.BlockBytes];
            Span<float> values = MemoryMarshal.Cast<byte, float>(bytes.AsSpan());
            for (int i = 0; i < values.Length; i++) values[i] = (float)((random.NextDouble() * 4) - 2);
            blocks.Add(bytes);
        }
    }

    public static NamespaceDescriptor Namespace { get; } = new("acme", Profile);

    public int Tokens { get; }

    public int Blocks => blocks.Count;

    /// <summary>Queries <c>[Hq, D]</c>.</summary>
    public static float[] Queries(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, QueryHeads * Profile.HeadDim).Select(_ => (float)((random.NextDouble() * 4) - 2))];
    }

    public BlockId[] Ids(KvNamespace ns) => [.. Enumerable.Range(0, blocks.Count).Select(i => ns.IdOf(Key(i)))];

    /// <summary>Puts the blocks and opens a sequence of them.</summary>
    public async Task<KvSequence> StoreAsync(KvNamespace ns, SequenceOptions? options = null)
    {
        PutBlock[] puts = [.. blocks.Select((bytes, i) => new PutBlock(Key(i), bytes))];
        Assert.Equal(blocks.Count, (await ns.PutAsync(puts)).Value.Stored);
        KvSequence sequence = (await ns.OpenSequenceAsync(name, options)).Value;
        Assert.Equal(Tokens, (await sequence.AppendAsync(Ids(ns), Tokens)).Value.Tokens);
        return sequence;
    }

    /// <summary>Softmax attention of one query over some tokens.</summary>
    public (double[] Output, double Lse) Attend(int layer, int kvHead, IReadOnlyList<int> tokens, ReadOnlySpan<float> query)
    {
        var scores = new double[tokens.Count];
        for (int i = 0; i < scores.Length; i++)
        {
            ReadOnlySpan<float> key = Row(layer, kvHead, tokens[i], value: false);
            for (int d = 0; d < key.Length; d++) scores[i] += key[d] * (double)query[d];
            scores[i] /= Math.Sqrt(Profile.HeadDim);
        }

        double max = scores.Max();
        double sum = scores.Sum(score => Math.Exp(score - max));
        var output = new double[Profile.HeadDim];
        for (int i = 0; i < scores.Length; i++)
        {
            ReadOnlySpan<float> value = Row(layer, kvHead, tokens[i], value: true);
            for (int d = 0; d < output.Length; d++) output[d] += Math.Exp(scores[i] - max) / sum * value[d];
        }

        return (output, max + Math.Log(sum));
    }

    public ReadOnlySpan<float> Row(int layer, int kvHead, int token, bool value)
    {
        int inBlock = token % Profile.BlockTokens;
        long offset = value ? layout.ValueOffset(layer, kvHead, inBlock) : layout.KeyOffset(layer, kvHead, inBlock);
        byte[] block = blocks[token / Profile.BlockTokens];
        return MemoryMarshal.Cast<byte, float>(block.AsSpan((int)offset, layout.RowBytes));
    }

    /// <summary>The tokens of the units of one KV head.</summary>
    public int[] TokensOf(ReadOnlySpan<int> units, int unitTokens) => [.. units.ToArray()
        .SelectMany(unit => Enumerable.Range(unit * unitTokens, unitTokens)).Where(token => token < Tokens)];

    /// <summary>Compares o and lse with the attention over the tokens of the units that the answer names.</summary>
    public void AssertAttends(RecallItemResult item, int layer, ReadOnlySpan<float> queries, ReadOnlySpan<float> o, ReadOnlySpan<float> lse)
    {
        int dim = Profile.HeadDim;
        for (int head = 0; head < QueryHeads; head++)
        {
            int kvHead = head / (QueryHeads / Profile.KvHeads);
            int[] tokens = TokensOf(item.UnitsOf(kvHead), item.UnitTokens);
            (double[] output, double expected) = Attend(layer, kvHead, tokens, queries.Slice(head * dim, dim));
            for (int d = 0; d < dim; d++) Assert.Equal(output[d], o[(head * dim) + d], 1e-4);
            Assert.Equal(expected, lse[head], 1e-4);
        }
    }

    /// <summary>Compares rows <c>[K,V][Hkv][n][D]</c> with those that were stored.</summary>
    public void AssertRows(RecallItemResult item, int layer, ReadOnlySpan<byte> payload)
    {
        ReadOnlySpan<float> rows = MemoryMarshal.Cast<byte, float>(payload);
        int dim = Profile.HeadDim;
        for (int part = 0; part < 2 * Profile.KvHeads; part++)
        {
            int kvHead = part % Profile.KvHeads;
            int[] tokens = TokensOf(item.SentOf(kvHead), item.UnitTokens);
            Assert.InRange(tokens.Length, 1, item.GatherRows);
            for (int n = 0; n < tokens.Length; n++)
            {
                ReadOnlySpan<float> row = rows.Slice(((part * item.GatherRows) + n) * dim, dim);
                Assert.True(row.SequenceEqual(Row(layer, kvHead, tokens[n], value: part >= Profile.KvHeads)), $"part {part}, row {n}");
            }
        }
    }

    private byte[] Key(int block) => System.Text.Encoding.UTF8.GetBytes($"{name}/{block}");
}
