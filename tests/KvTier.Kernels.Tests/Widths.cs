using System.Runtime.Intrinsics;
using KvTier.Kernels;

namespace KvTier.Kernels.Tests;

/// <summary>The vector widths that this machine has. A suite runs each kernel with all of them.</summary>
internal static class Widths
{
    internal static IEnumerable<int> Available()
    {
        if (Lanes512.IsSupported) yield return 512;
        if (Lanes256.IsSupported) yield return 256;
        if (Lanes128.IsSupported) yield return 128;
    }

    internal static void Dot(
        int width, Dtype dtype, byte[] rows, float[] queries, float[] rowScales, Span<float> scores, DotShape shape)
    {
        if (width == 512) RowDot.Run<Lanes512, Vector512<float>>(dtype, rows, queries, rowScales, scores, shape);
        else if (width == 256) RowDot.Run<Lanes256, Vector256<float>>(dtype, rows, queries, rowScales, scores, shape);
        else RowDot.Run<Lanes128, Vector128<float>>(dtype, rows, queries, rowScales, scores, shape);
    }

    internal static void Sum(int width, Dtype dtype, byte[] values, float[] weights, Span<float> sums, ValueShape shape)
    {
        if (width == 512) ValueSum.Run<Lanes512, Vector512<float>>(dtype, values, weights, sums, shape);
        else if (width == 256) ValueSum.Run<Lanes256, Vector256<float>>(dtype, values, weights, sums, shape);
        else ValueSum.Run<Lanes128, Vector128<float>>(dtype, values, weights, sums, shape);
    }

    internal static void ToSingle<TElement>(int width, byte[] source, float[] destination)
        where TElement : struct, IElement
    {
        if (width == 512) ToSingleKernel.Run<Lanes512, Vector512<float>, TElement>(source, destination);
        else if (width == 256) ToSingleKernel.Run<Lanes256, Vector256<float>, TElement>(source, destination);
        else ToSingleKernel.Run<Lanes128, Vector128<float>, TElement>(source, destination);
    }

    internal static void FromSingle<TNarrowing>(int width, float[] source, byte[] destination)
        where TNarrowing : struct, INarrowing
    {
        if (width == 512) FromSingleKernel.Run<Lanes512, Vector512<float>, TNarrowing>(source, destination);
        else if (width == 256) FromSingleKernel.Run<Lanes256, Vector256<float>, TNarrowing>(source, destination);
        else FromSingleKernel.Run<Lanes128, Vector128<float>, TNarrowing>(source, destination);
    }
}
