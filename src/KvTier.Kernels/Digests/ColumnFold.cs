namespace KvTier.Kernels;

/// <summary>A step of a fold down the columns of rows: what is made of the result so far, a row's value and the column's centre.</summary>
internal interface IColumnStep
{
    static abstract TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    static abstract float Next(float soFar, float value, float centre);
}

/// <summary>Folds rows into one, column by column, with the widest vectors there are.</summary>
internal static class ColumnFold<TStep>
    where TStep : struct, IColumnStep
{
    /// <summary>result[j] = the fold of rows[0, j], rows[1, j], … from start on.</summary>
    /// <param name="rows"><c>[n, D]</c> with D the result's length.</param>
    /// <param name="centres"><c>[D]</c>, or empty where the step does not look at them.</param>
    /// <param name="start">Where every column starts.</param>
    /// <param name="factor">The result is multiplied with this.</param>
    /// <param name="result">Receives <c>[D]</c>.</param>
    internal static void Run(ReadOnlySpan<float> rows, ReadOnlySpan<float> centres, float start, float factor, Span<float> result)
    {
        int dim = result.Length, j = 0;
        if (dim == 0) return;
        if (rows.Length % dim != 0) throw new ArgumentException($"{rows.Length} elements are not rows of {dim}", nameof(rows));
        if (!centres.IsEmpty) Shapes.Require(centres.Length, dim, nameof(centres));
        if (Lanes512.IsSupported) j = Run<Lanes512, Vector512<float>>(rows, centres, start, factor, result);
        else if (Lanes256.IsSupported) j = Run<Lanes256, Vector256<float>>(rows, centres, start, factor, result);
        else if (Lanes128.IsSupported) j = Run<Lanes128, Vector128<float>>(rows, centres, start, factor, result);
        for (; j < dim; j++)
        {
            float value = start;
            for (int at = j; at < rows.Length; at += dim) value = TStep.Next(value, rows[at], centres.IsEmpty ? 0 : centres[j]);
            result[j] = value * factor;
        }
    }

    private static int Run<TLanes, TVector>(
        ReadOnlySpan<float> rows, ReadOnlySpan<float> centres, float start, float factor, Span<float> result)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        ref float first = ref MemoryMarshal.GetReference(rows);
        ref float centre = ref MemoryMarshal.GetReference(centres);
        int j = 0;
        for (; j <= result.Length - TLanes.Count; j += TLanes.Count)
        {
            TVector middle = centres.IsEmpty ? TLanes.Create(0) : TLanes.Load(ref Unsafe.Add(ref centre, j));
            TVector value = TLanes.Create(start);
            for (int at = j; at < rows.Length; at += result.Length)
                value = TStep.Next<TLanes, TVector>(value, TLanes.Load(ref Unsafe.Add(ref first, at)), middle);
            TLanes.Store(TLanes.Multiply(value, TLanes.Create(factor)), ref result[j]);
        }

        return j;
    }
}
