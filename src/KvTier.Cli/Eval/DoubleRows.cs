using System.Numerics;
using System.Runtime.InteropServices;

namespace KvTier.Cli;

/// <summary>Arithmetic of the judge: rows of fp32 widened to double, and double from there on.</summary>
internal static class DoubleRows
{
    /// <summary>Widens a row.</summary>
    public static void Widen(ReadOnlySpan<float> row, Span<double> wide)
    {
        int lanes = Vector<float>.Count;
        int i = 0;
        for (; i + lanes <= row.Length; i += lanes)
        {
            Vector.Widen(new Vector<float>(row[i..]), out Vector<double> low, out Vector<double> high);
            low.CopyTo(wide[i..]);
            high.CopyTo(wide[(i + (lanes / 2))..]);
        }

        for (; i < row.Length; i++) wide[i] = row[i];
    }

    /// <summary>Σ a·b.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ReadOnlySpan<Vector<double>> x = MemoryMarshal.Cast<double, Vector<double>>(a);
        ReadOnlySpan<Vector<double>> y = MemoryMarshal.Cast<double, Vector<double>>(b);
        (Vector<double> even, Vector<double> odd) = (Vector<double>.Zero, Vector<double>.Zero);
        int i = 0;
        for (; i + 1 < x.Length; i += 2)
        {
            even += x[i] * y[i];
            odd += x[i + 1] * y[i + 1];
        }

        if (i < x.Length) even += x[i] * y[i];
        double sum = Vector.Sum(even + odd);
        for (int j = x.Length * Vector<double>.Count; j < a.Length; j++) sum += a[j] * b[j];
        return sum;
    }

    /// <summary>Adds a row times a factor.</summary>
    public static void AddScaled(Span<double> sum, double factor, ReadOnlySpan<double> row)
    {
        Span<Vector<double>> x = MemoryMarshal.Cast<double, Vector<double>>(sum);
        ReadOnlySpan<Vector<double>> y = MemoryMarshal.Cast<double, Vector<double>>(row);
        var wide = new Vector<double>(factor);
        for (int i = 0; i < x.Length; i++) x[i] += wide * y[i];
        for (int j = x.Length * Vector<double>.Count; j < sum.Length; j++) sum[j] += factor * row[j];
    }

    /// <summary>‖a - b‖ / ‖a‖; 0 when both are zero.</summary>
    public static double RelativeL2(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        (double difference, double norm) = (0, 0);
        for (int i = 0; i < a.Length; i++)
        {
            difference += (a[i] - b[i]) * (a[i] - b[i]);
            norm += a[i] * a[i];
        }

        return difference == 0 ? 0 : Math.Sqrt(difference / norm);
    }

    /// <summary>The cosine of the angle between two rows; 0 when one of them is zero.</summary>
    public static double Cosine(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double norms = Math.Sqrt(Dot(a, a) * Dot(b, b));
        return norms > 0 ? Dot(a, b) / norms : 0;
    }
}
