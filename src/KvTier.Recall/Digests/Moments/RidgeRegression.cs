namespace KvTier.Recall;

/// <summary>Solves (S + λI) W = P for a symmetric S by Cholesky's factors, λ a share of S's mean diagonal.</summary>
internal static class RidgeRegression
{
    private const float Ridge = 0.05f;

    /// <summary>Solves.</summary>
    /// <param name="squares">S <c>[D, D]</c>; overwritten.</param>
    /// <param name="products">P <c>[D, D]</c>; receives W, or zeros when S is zero.</param>
    /// <param name="dim">D.</param>
    internal static void Solve(Span<float> squares, Span<float> products, int dim)
    {
        float trace = 0;
        for (int i = 0; i < dim; i++) trace += squares[(i * dim) + i];
        float ridge = Ridge * trace / dim;
        if (!(ridge > 0) || !float.IsFinite(ridge) || !Factor(squares, ridge, dim))
        {
            products.Clear();
            return;
        }

        for (int i = 0; i < dim; i++)
        {
            Span<float> row = products.Slice(i * dim, dim);
            for (int k = 0; k < i; k++) RowMath.AddScaled(row, products.Slice(k * dim, dim), -squares[(i * dim) + k]);
            RowMath.Scale(row, 1 / squares[(i * dim) + i]);
        }

        for (int i = dim - 1; i >= 0; i--)
        {
            Span<float> row = products.Slice(i * dim, dim);
            for (int k = i + 1; k < dim; k++) RowMath.AddScaled(row, products.Slice(k * dim, dim), -squares[(k * dim) + i]);
            RowMath.Scale(row, 1 / squares[(i * dim) + i]);
        }

        if (!float.IsFinite(RowMath.MaxAbs(products))) products.Clear();
    }

    // The lower factor takes the place of the lower half.
    private static bool Factor(Span<float> squares, float ridge, int dim)
    {
        for (int i = 0; i < dim; i++)
        {
            Span<float> row = squares.Slice(i * dim, dim);
            for (int j = 0; j < i; j++)
                row[j] = (row[j] - RowMath.Dot(row[..j], squares.Slice(j * dim, j))) / squares[(j * dim) + j];
            float square = row[i] + ridge - RowMath.Dot(row[..i], row[..i]);
            if (!(square > 0)) return false;
            row[i] = MathF.Sqrt(square);
        }

        return true;
    }
}
