namespace KvTier.Kernels.Device;

/// <summary>Tokens of one KV head in device memory, one after another.</summary>
/// <param name="KeyOffset">First byte of their keys in the arena, a multiple of 16.</param>
/// <param name="ValueOffset">First byte of their values, a multiple of 16.</param>
/// <param name="Tokens">How many; 0 is allowed.</param>
/// <param name="KeyScaleOffset">First byte of the keys' fp32 scales, one a token, a multiple of 4; -1 for none. Default -1.</param>
/// <param name="ValueScaleOffset">The same for the values.</param>
public readonly record struct AttendChunk(
    long KeyOffset, long ValueOffset, int Tokens, long KeyScaleOffset = -1, long ValueScaleOffset = -1);

/// <summary>The query heads of one KV head, and the chunks that they attend to.</summary>
/// <param name="FirstQuery">First of its queries.</param>
/// <param name="Queries">Its queries, 1 to 64; groups have their queries in order and share none.</param>
/// <param name="FirstChunk">First of its chunks.</param>
/// <param name="Chunks">Its chunks; 0 gives o = 0 and lse = -inf.</param>
public readonly record struct AttendGroup(int FirstQuery, int Queries, int FirstChunk, int Chunks);

/// <summary>
/// Partial attention of many KV heads in one go: <c>o = softmax(scale · q·K) · V</c> over the tokens of a group's chunks, and
/// <c>lse = ln Σ e^(scale · q·k)</c>, so that parts computed elsewhere can be merged exactly.
/// </summary>
public readonly ref struct AttendBatch
{
    /// <summary>Most dims of a head.</summary>
    public const int DimsMax = 256;

    /// <summary>Most queries of a group.</summary>
    public const int QueriesMax = 64;

    /// <summary>Dtype of keys and values; not raw.</summary>
    public required Dtype Dtype { get; init; }

    /// <summary>Dims of a head, a multiple of 4, at most <see cref="DimsMax"/>.</summary>
    public required int Dims { get; init; }

    /// <summary>What q·k is multiplied with, 1/(√D · temperature) as a rule; finite.</summary>
    public required float Scale { get; init; }

    /// <summary>All queries, <c>[n, D]</c>.</summary>
    public required ReadOnlySpan<float> Queries { get; init; }

    /// <summary>The groups.</summary>
    public required ReadOnlySpan<AttendGroup> Groups { get; init; }

    /// <summary>The chunks of all groups.</summary>
    public required ReadOnlySpan<AttendChunk> Chunks { get; init; }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    internal KvError? Validate(DeviceMemory memory, int outputs, int lses)
    {
        if (Dtype is < Dtype.Float32 or > Dtype.Int8)
            return KvError.InvalidArgument("attend.dtype", Dtype, "fp32, fp16, bf16, fp8 or int8");
        if (Dims is < 4 or > DimsMax || Dims % 4 != 0)
            return KvError.InvalidArgument("attend.dims", Dims, $"a multiple of 4, 4 to {DimsMax}");
        if (!float.IsFinite(Scale)) return KvError.InvalidArgument("attend.scale", Scale, "a finite number");
        if (Queries.Length % Dims != 0) return KvError.InvalidArgument("attend.queries", Queries.Length, $"a multiple of {Dims} dims");
        if (outputs != Queries.Length) return KvError.InvalidArgument("attend.outputs", outputs, $"{Queries.Length}, as the queries");
        if (lses != Queries.Length / Dims) return KvError.InvalidArgument("attend.lses", lses, $"{Queries.Length / Dims}, one a query");
        return ValidateGroups() ?? ValidateChunks(memory);
    }

    private KvError? ValidateGroups()
    {
        int next = 0;
        foreach (AttendGroup group in Groups)
        {
            if (group.Queries is < 1 or > QueriesMax)
                return KvError.InvalidArgument("attend.group.queries", group.Queries, $"1 to {QueriesMax}");
            int last = (Queries.Length / Dims) - group.Queries;
            if (group.FirstQuery < next || group.FirstQuery > last)
                return KvError.InvalidArgument("attend.group.firstQuery", group.FirstQuery, $"{next} to {last}");
            if (group.Chunks < 0 || group.FirstChunk < 0 || group.FirstChunk > Chunks.Length - group.Chunks)
                return KvError.InvalidArgument("attend.group.chunks", $"{group.FirstChunk} + {group.Chunks}", $"inside {Chunks.Length}");
            next = group.FirstQuery + group.Queries;
        }

        return null;
    }

    private KvError? ValidateChunks(DeviceMemory memory)
    {
        long tokenBytes = (long)Dims * Dtype.SizeBytes();
        foreach (AttendChunk chunk in Chunks)
        {
            if (chunk.Tokens < 0) return KvError.InvalidArgument("attend.chunk.tokens", chunk.Tokens, "0 or more");
            foreach (long offset in (ReadOnlySpan<long>)[chunk.KeyOffset, chunk.ValueOffset])
            {
                if (!memory.Holds(offset, chunk.Tokens * tokenBytes, 16))
                    return KvError.InvalidArgument("attend.chunk.offset", offset, "rows in the arena from a multiple of 16 on");
            }

            foreach (long offset in (ReadOnlySpan<long>)[chunk.KeyScaleOffset, chunk.ValueScaleOffset])
            {
                if (offset != -1 && !memory.Holds(offset, chunk.Tokens * 4L, 4))
                    return KvError.InvalidArgument("attend.chunk.scaleOffset", offset, "-1, or in the arena from a multiple of 4 on");
            }
        }

        return null;
    }
}
