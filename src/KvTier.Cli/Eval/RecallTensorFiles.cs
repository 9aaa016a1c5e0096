namespace KvTier.Cli;

/// <summary>
/// Reads and writes tensors as three <c>.npy</c> files: keys and values <c>[Hkv, T, D]</c>, queries <c>[steps, Hq, D]</c>.
/// </summary>
internal static class RecallTensorFiles
{
    private const int Rank = 3;

    /// <summary>Reads the three files and checks their shapes against each other.</summary>
    /// <param name="keys">File of the keys.</param>
    /// <param name="values">File of the values.</param>
    /// <param name="queries">File of the queries.</param>
    /// <param name="dtype">Element type in which they are to be stored; null for the wider one of the files of
    /// keys and values.</param>
    /// <returns>The tensors, or the first thing that is wrong: which file, which field, what was expected.</returns>
    public static Result<RecallTensors> Read(string keys, string values, string queries, Dtype? dtype = null)
    {
        if (!NpyReader.Read(keys, "--keys", Rank).TryGet(out NpyArray? k, out KvError? error)) return error;
        if (!NpyReader.Read(values, "--values", Rank).TryGet(out NpyArray? v, out error)) return error;
        if (!NpyReader.Read(queries, "--queries", Rank).TryGet(out NpyArray? q, out error)) return error;
        if (!v.Shape.SequenceEqual(k.Shape))
            return KvError.InvalidArgument("--values: shape", v.ShapeText, $"that of the keys, {k.ShapeText}");
        (int kvHeads, int tokens, int dim) = (k.Shape[0], k.Shape[1], k.Shape[2]);
        (int steps, int queryHeads) = (q.Shape[0], q.Shape[1]);
        if (q.Shape[2] != dim) return KvError.InvalidArgument("--queries: shape[2]", q.Shape[2], $"that of the keys, {dim}");
        if (queryHeads % kvHeads != 0)
            return KvError.InvalidArgument("--queries: shape[1]", queryHeads, $"a multiple of the keys' {kvHeads} KV heads");
        Dtype wider = k.Dtype == Dtype.Float32 ? k.Dtype : v.Dtype;
        Dtype stored = dtype ?? wider;
        var tensors = new RecallTensors(kvHeads, queryHeads, tokens, dim, steps, stored)
        {
            StoredExactly = stored == Dtype.Float32 || stored == wider,
            Keys = k.ToSingle(),
            Values = v.ToSingle(),
            Queries = q.ToSingle(),
        };
        return tensors.CheckQueries() is { } notFinite ? notFinite : tensors;
    }

    /// <summary>Writes <c>keys.npy</c>, <c>values.npy</c> and <c>queries.npy</c> into a folder, which is made when it is not there.
    /// Keys and values keep fp16 as it is; bf16 is written as fp32, for NumPy has no bf16. Queries are fp32.</summary>
    public static void Write(string folder, RecallTensors tensors)
    {
        Directory.CreateDirectory(folder);
        Dtype stored = tensors.Dtype == Dtype.Float16 ? Dtype.Float16 : Dtype.Float32;
        int[] shape = [tensors.KvHeads, tensors.Tokens, tensors.HeadDim];
        NpyWriter.Write(Path.Combine(folder, "keys.npy"), stored, shape, tensors.Keys);
        NpyWriter.Write(Path.Combine(folder, "values.npy"), stored, shape, tensors.Values);
        int[] queryShape = [tensors.Steps, tensors.QueryHeads, tensors.HeadDim];
        NpyWriter.Write(Path.Combine(folder, "queries.npy"), Dtype.Float32, queryShape, tensors.Queries);
    }
}
