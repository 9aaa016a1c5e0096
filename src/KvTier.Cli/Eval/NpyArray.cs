using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>An array of NumPy's <c>.npy</c> format: fp16 or fp32, little-endian, in C order.</summary>
/// <param name="Dtype">Float16 or Float32.</param>
/// <param name="Shape">Length of every axis, each 1 or more.</param>
/// <param name="Data">The elements, the last axis fastest.</param>
internal sealed record NpyArray(Dtype Dtype, IReadOnlyList<int> Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>Elements in all.</summary>
    public long Count => CountOf(Shape);

    /// <summary>The shape as Python writes it, such as <c>(8, 1024, 128)</c>.</summary>
    public string ShapeText => TextOf(Shape);

    /// <summary>Elements of a shape.</summary>
    public static long CountOf(IReadOnlyList<int> shape) => shape.Aggregate(1L, (count, axis) => count * axis);

    /// <summary>A shape as Python writes it.</summary>
    public static string TextOf(IEnumerable<int> shape) => $"({string.Join(", ", shape)})";

    /// <summary>The elements as fp32.</summary>
    public float[] ToSingle()
    {
        float[] values = GC.AllocateUninitializedArray<float>((int)Count);
        RowConvert.ToSingle(Dtype, Data.Span, values);
        return values;
    }
}
