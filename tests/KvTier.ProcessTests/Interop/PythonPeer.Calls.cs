namespace KvTier.ProcessTests.Interop;

/// <content>What it is asked for.</content>
internal sealed partial class PythonPeer
{
    /// <inheritdoc/>
    public string Name => "Python";

    /// <inheritdoc/>
    public Task<string[]> PutAsync(BlockSet blocks, bool overwrite = false) => EachAsync("put", FieldsOf(blocks, overwrite: overwrite));

    /// <inheritdoc/>
    public Task<string[]> GetAsync(BlockSet blocks) => EachAsync("get", FieldsOf(blocks));

    /// <inheritdoc/>
    public Task<string[]> DeleteAsync(BlockSet blocks) => EachAsync("delete", FieldsOf(blocks));

    /// <inheritdoc/>
    public Task<string[]> LeaseAsync(string name, BlockSet blocks) => EachAsync("lease", FieldsOf(blocks, name));

    /// <inheritdoc/>
    public Task<string[]> LeasedAsync(string name, BlockSet blocks) => EachAsync("leased", FieldsOf(blocks, name));

    /// <inheritdoc/>
    public Task ReleaseAsync(string name) => AskAsync("release", new { name });

    /// <inheritdoc/>
    public async Task<string[]> PlacementAsync(BlockSet blocks, int copies)
    {
        JsonElement placed = await AskAsync(
            "placement", new { tenant = blocks.Tenant, keys = blocks.Keys, prefix = blocks.Prefix, copies });
        return [.. placed.EnumerateArray().Select(each => $"{each[0]} {each[1]} {string.Join(' ', each[2].EnumerateArray())}".TrimEnd())];
    }

    /// <inheritdoc/>
    public async Task<string> SequenceOwnerAsync(string tenant, string name) =>
        (await AskAsync("sequence_owner", new { tenant, name, model = true })).GetString()!;

    /// <inheritdoc/>
    public async Task<string> AppendAsync(string tenant, string name, string[] keys, int tokens) =>
        Say(await AskAsync("append", new { tenant, name, keys, tokens }));

    /// <inheritdoc/>
    public async Task<string> SequenceAsync(string tenant, string name) => Say(await AskAsync("sequence", new { tenant, name }));

    /// <inheritdoc/>
    public async Task<string> ForkAsync(string tenant, string name, string into, int tokens) =>
        Say(await AskAsync("fork", new { tenant, name, into, tokens }));

    /// <inheritdoc/>
    public Task CloseAsync(string tenant, string name) => AskAsync("close", new { tenant, name });

    /// <inheritdoc/>
    public Task<string[]> SequencesAsync(string tenant) => EachAsync("sequences", new { tenant });

    /// <inheritdoc/>
    public async Task<Attention> AttendAsync(string tenant, string name, int layer, float[] queries, int tokens)
    {
        JsonElement answer = await AskAsync("attend", new { tenant, name, layer, queries, budget = tokens });
        return new Attention(Floats(answer, "output"), Floats(answer, "lse"), answer.GetProperty("missing").GetInt32());
    }

    private static object FieldsOf(BlockSet blocks, string name = "", bool overwrite = false) => new
    {
        name,
        tenant = blocks.Tenant,
        keys = blocks.Keys,
        salt = blocks.Salt,
        length = blocks.Length,
        prefix = blocks.Prefix,
        model = blocks.IsModel,
        overwrite,
    };

    private static float[] Floats(JsonElement answer, string name) =>
        [.. answer.GetProperty(name).EnumerateArray().Select(each => each.GetSingle())];

    private static string Say(JsonElement info) => $"{info[0]} blocks, {info[1]} tokens";
}
