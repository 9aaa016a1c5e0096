using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Reads keys and values out of a block's payload as fp32, keys rotated where they are stored before rotation. An empty payload is that of
/// a block that is gone: its keys and values read as NaN, whatever the dtype.
/// </summary>
internal sealed class BlockRows(BlockLayout layout, RopeRotation? rotation)
{
    private readonly RotationTable? table =
        rotation is { } given ? new RotationTable(given, layout.HeadDim, layout.BlockTokens) : null;

    /// <summary>The layout.</summary>
    internal BlockLayout Layout => layout;

    /// <summary>Moves to a block: only its payload may be read now.</summary>
    internal void MoveTo(int block) => table?.MoveTo((long)block * layout.BlockTokens);

    /// <summary>Reads keys <c>[count, D]</c>.</summary>
    internal void Keys(ReadOnlySpan<byte> payload, int layer, int kvHead, int first, int count, Span<float> keys)
    {
        if (payload.IsEmpty)
        {
            keys[..(count * layout.HeadDim)].Fill(float.NaN);
            return;
        }

        int bytes = count * layout.RowBytes;
        RowConvert.ToSingle(
            layout.Dtype, payload.Slice((int)layout.KeyOffset(layer, kvHead, first), bytes), keys[..(count * layout.HeadDim)]);
        if (table is null) return;
        for (int t = 0; t < count; t++) table.Rotate(first + t, keys.Slice(t * layout.HeadDim, layout.HeadDim));
    }

    /// <summary>Reads values <c>[count, D]</c>.</summary>
    internal void Values(ReadOnlySpan<byte> payload, int layer, int kvHead, int first, int count, Span<float> values)
    {
        Span<float> target = values[..(count * layout.HeadDim)];
        if (payload.IsEmpty) target.Fill(float.NaN);
        else RowConvert.ToSingle(
            layout.Dtype, payload.Slice((int)layout.ValueOffset(layer, kvHead, first), count * layout.RowBytes), target);
    }
}
