namespace KvTier.Kernels;

/// <summary>Elements of every dtype to fp32 and back. Little-endian, as payloads are.</summary>
public static class RowConvert
{
    /// <summary>Converts elements to fp32. Exact for every dtype; NaN stays NaN.</summary>
    /// <param name="dtype">Any dtype but raw; int8 becomes its integer value.</param>
    /// <param name="source">The elements.</param>
    /// <param name="destination">As many floats.</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">The source is shorter than the destination.</exception>
    public static void ToSingle(Dtype dtype, ReadOnlySpan<byte> source, Span<float> destination)
    {
        Shapes.Require(source.Length, (long)destination.Length * dtype.SizeBytes(), nameof(source));
        switch (dtype)
        {
            case Dtype.Float32:
                source[..(destination.Length * 4)].CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case Dtype.Float16:
                ToSingleKernel.Run<Float16Element>(source, destination);
                break;
            case Dtype.BFloat16:
                ToSingleKernel.Run<BFloat16Element>(source, destination);
                break;
            case Dtype.Float8E4M3:
                ToSingleKernel.Run<E4M3Element>(source, destination);
                break;
            case Dtype.Float8E5M2:
                ToSingleKernel.Run<E5M2Element>(source, destination);
                break;
            case Dtype.Int8:
                ToSingleKernel.Run<Int8Element>(source, destination);
                break;
            default:
                throw new NotSupportedException(dtype.Name());
        }
    }

    /// <summary>Converts fp32 to another dtype, rounding to nearest even. What is too large becomes infinity in fp16, bf16 and E5M2,
    /// ±448 in E4M3 (which has no infinity) and -128 or 127 in int8. NaN stays NaN; in int8 it becomes 0.</summary>
    /// <param name="dtype">Any dtype but raw.</param>
    /// <param name="source">The floats.</param>
    /// <param name="destination">Room for as many elements.</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public static void FromSingle(Dtype dtype, ReadOnlySpan<float> source, Span<byte> destination)
    {
        Shapes.Require(destination.Length, (long)source.Length * dtype.SizeBytes(), nameof(destination));
        switch (dtype)
        {
            case Dtype.Float32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case Dtype.Float16:
                FromSingleKernel.Run<Float16Narrowing>(source, destination);
                break;
            case Dtype.BFloat16:
                FromSingleKernel.Run<BFloat16Narrowing>(source, destination);
                break;
            case Dtype.Float8E4M3:
                FromSingleKernel.Run<E4M3Narrowing>(source, destination);
                break;
            case Dtype.Float8E5M2:
                FromSingleKernel.Run<E5M2Narrowing>(source, destination);
                break;
            case Dtype.Int8:
                FromSingleKernel.Run<Int8Narrowing>(source, destination);
                break;
            default:
                throw new NotSupportedException(dtype.Name());
        }
    }
}
