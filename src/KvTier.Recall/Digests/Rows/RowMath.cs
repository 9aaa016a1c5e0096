using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>Arithmetic on rows of fp32, eight numbers at a time.</summary>
internal static class RowMath
{
    private static readonly int Width = Vector256<float>.Count;

    /// <summary>The largest absolute value; NaN when there is one.</summary>
    internal static float MaxAbs(ReadOnlySpan<float> row)
    {
        Vector256<float> largest = Vector256<float>.Zero;
        int j = 0;
        for (; j <= row.Length - Width; j += Width) largest = Vector256.Max(largest, Vector256.Abs(Load(row, j)));
        float result = 0;
        for (int i = 0; i < Width; i++) result = MathF.Max(result, largest[i]);
        for (; j < row.Length; j++) result = MathF.Max(result, MathF.Abs(row[j]));
        return result;
    }

    /// <summary><c>row *= other</c>, channel by channel.</summary>
    internal static void Multiply(Span<float> row, ReadOnlySpan<float> other)
    {
        int j = 0;
        for (; j <= row.Length - Width; j += Width) Store(Load(row, j) * Load(other, j), row, j);
        for (; j < row.Length; j++) row[j] *= other[j];
    }

    /// <summary>Adds a number to every channel.</summary>
    internal static void AddConstant(Span<float> row, float number)
    {
        int j = 0;
        for (; j <= row.Length - Width; j += Width) Store(Load(row, j) + Vector256.Create(number), row, j);
        for (; j < row.Length; j++) row[j] += number;
    }

    /// <summary>Multiplies a row.</summary>
    internal static void Scale(Span<float> row, float factor)
    {
        int j = 0;
        for (; j <= row.Length - Width; j += Width) Store(Load(row, j) * factor, row, j);
        for (; j < row.Length; j++) row[j] *= factor;
    }

    /// <summary><c>sum += row</c>.</summary>
    internal static void Add(Span<float> sum, ReadOnlySpan<float> row)
    {
        int j = 0;
        for (; j <= sum.Length - Width; j += Width) Store(Load(sum, j) + Load(row, j), sum, j);
        for (; j < sum.Length; j++) sum[j] += row[j];
    }

    /// <summary><c>row -= other</c>.</summary>
    internal static void Subtract(Span<float> row, ReadOnlySpan<float> other)
    {
        int j = 0;
        for (; j <= row.Length - Width; j += Width) Store(Load(row, j) - Load(other, j), row, j);
        for (; j < row.Length; j++) row[j] -= other[j];
    }

    /// <summary><c>sum += factor · row</c>.</summary>
    internal static void AddScaled(Span<float> sum, ReadOnlySpan<float> row, float factor)
    {
        int j = 0;
        for (; j <= sum.Length - Width; j += Width) Store(Load(sum, j) + (Load(row, j) * factor), sum, j);
        for (; j < sum.Length; j++) sum[j] += factor * row[j];
    }

    /// <summary><c>sum += factor · row²</c>, channel by channel.</summary>
    internal static void AddSquares(Span<float> sum, ReadOnlySpan<float> row, float factor)
    {
        int j = 0;
        for (; j <= sum.Length - Width; j += Width)
        {
            Vector256<float> values = Load(row, j);
            Store(Load(sum, j) + (values * values * factor), sum, j);
        }

        for (; j < sum.Length; j++) sum[j] += factor * row[j] * row[j];
    }

    /// <summary><c>largest = max(largest, row)</c>, channel by channel.</summary>
    internal static void Max(Span<float> largest, ReadOnlySpan<float> row)
    {
        int j = 0;
        for (; j <= largest.Length - Width; j += Width) Store(Vector256.Max(Load(largest, j), Load(row, j)), largest, j);
        for (; j < largest.Length; j++) largest[j] = MathF.Max(largest[j], row[j]);
    }

    /// <summary><c>smallest = min(smallest, row)</c>, channel by channel.</summary>
    internal static void Min(Span<float> smallest, ReadOnlySpan<float> row)
    {
        int j = 0;
        for (; j <= smallest.Length - Width; j += Width) Store(Vector256.Min(Load(smallest, j), Load(row, j)), smallest, j);
        for (; j < smallest.Length; j++) smallest[j] = MathF.Min(smallest[j], row[j]);
    }

    /// <summary>The dot product.</summary>
    internal static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Vector256<float> sums = Vector256<float>.Zero;
        int j = 0;
        for (; j <= a.Length - Width; j += Width) sums += Load(a, j) * Load(b, j);
        float sum = Vector256.Sum(sums);
        for (; j < a.Length; j++) sum += a[j] * b[j];
        return sum;
    }

    /// <summary>The squared distance of two rows.</summary>
    internal static float SquaredDistance(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Vector256<float> sums = Vector256<float>.Zero;
        int j = 0;
        for (; j <= a.Length - Width; j += Width)
        {
            Vector256<float> apart = Load(a, j) - Load(b, j);
            sums += apart * apart;
        }

        float sum = Vector256.Sum(sums);
        for (; j < a.Length; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
        return sum;
    }

    /// <summary>Clears what is below a limit or has 0 in another row.</summary>
    internal static void Keep(Span<float> row, ReadOnlySpan<float> kept, float least)
    {
        int j = 0;
        for (; j <= row.Length - Width; j += Width)
        {
            Vector256<float> values = Load(row, j) * Load(kept, j);
            Store(values & Vector256.GreaterThanOrEqual(values, Vector256.Create(least)), row, j);
        }

        for (; j < row.Length; j++) row[j] = row[j] * kept[j] >= least ? row[j] * kept[j] : 0;
    }

    /// <summary>The sum of a row.</summary>
    internal static float Sum(ReadOnlySpan<float> row)
    {
        Vector256<float> sums = Vector256<float>.Zero;
        int j = 0;
        for (; j <= row.Length - Width; j += Width) sums += Load(row, j);
        float sum = Vector256.Sum(sums);
        for (; j < row.Length; j++) sum += row[j];
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load(ReadOnlySpan<float> row, int at) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(row), (nuint)at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<float> values, Span<float> row, int at) =>
        values.StoreUnsafe(ref MemoryMarshal.GetReference(row), (nuint)at);
}
