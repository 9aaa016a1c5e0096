namespace KvTier.Kernels;

/// <summary>Cholesky's factor of a symmetric matrix, and triangular solving, in double.</summary>
internal static class Cholesky
{
    private const double FirstDamping = 1e-6;

    /// <summary>L of A + εI = L Lᵀ. ε starts at 1e-6 and grows tenfold until the matrix is positive definite.</summary>
    /// <param name="matrix"><c>[n, n]</c>, of which the lower triangle is read.</param>
    /// <param name="n">Its size.</param>
    internal static double[] Factor(double[] matrix, int n)
    {
        double[] factor = new double[n * n];
        double damping = FirstDamping;
        while (!TryFactor(matrix, n, damping, factor))
        {
            damping *= 10;
            if (!double.IsFinite(damping)) throw new ArgumentException("the matrix is not finite", nameof(matrix));
        }

        return factor;
    }

    /// <summary>Solves x L = b for the row x, in place: back from the last column.</summary>
    internal static void SolveRow(double[] factor, int n, Span<double> row)
    {
        for (int j = n - 1; j >= 0; j--)
        {
            double sum = row[j];
            for (int i = j + 1; i < n; i++) sum -= row[i] * factor[(i * n) + j];
            row[j] = sum / factor[(j * n) + j];
        }
    }

    private static bool TryFactor(double[] matrix, int n, double damping, double[] factor)
    {
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double sum = matrix[(i * n) + j] + (i == j ? damping : 0);
                for (int k = 0; k < j; k++) sum -= factor[(i * n) + k] * factor[(j * n) + k];
                if (i != j) factor[(i * n) + j] = sum / factor[(j * n) + j];
                else if (sum > 0) factor[(i * n) + i] = Math.Sqrt(sum);
                else return false;
            }
        }

        return true;
    }
}
