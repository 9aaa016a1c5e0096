namespace KvTier.Kernels;

/// <summary>Scoring for one vector width and one dtype. Rows are taken in blocks that stay in the first-level cache while all queries pass
/// over them, so that memory is read once however many queries there are. Within a block four rows meet four, two or one queries at once:
/// each piece of a row is widened once for these queries, and the sums of four rows leave in one vector. The loops are compiled in full at
/// once, here as in the other kernels: a first recall would run them unoptimised otherwise.</summary>
internal static class RowDotKernel<TLanes, TVector, TElement>
    where TLanes : struct, ILanes<TVector>
    where TVector : struct
    where TElement : struct, IElement
{
    private const int BlockBytes = 8 << 10;
    private const int PrefetchDistance = 2048;

    internal static void Dot(
        ReadOnlySpan<byte> rows, ReadOnlySpan<float> queries, ReadOnlySpan<float> rowScales, Span<float> scores, DotShape shape)
    {
        nint rowBytes = (nint)shape.RowLength * TElement.Size;
        int blockRows = (int)Math.Max(4, BlockBytes / Math.Max(1, rowBytes) / 4 * 4);
        ref byte firstRow = ref MemoryMarshal.GetReference(rows);
        ref float query = ref MemoryMarshal.GetReference(queries);
        ref float firstScore = ref MemoryMarshal.GetReference(scores);
        for (int r = 0; r < shape.RowCount; r += blockRows)
        {
            int count = Math.Min(blockRows, shape.RowCount - r);
            ref byte block = ref Unsafe.Add(ref firstRow, r * rowBytes);
            ref float score = ref Unsafe.Add(ref firstScore, r);
            ReadOnlySpan<float> factors = rowScales.IsEmpty ? default : rowScales.Slice(r, count);
            bool plain = ElementScan<TLanes, TVector, TElement>.LooksPlain(ref block, count * rowBytes);
            if (plain) Block<Finite>(ref block, count, ref query, factors, ref score, shape);

            // Infinity and NaN are so rare that looking for them afterwards, in the cache, costs less than to care at every element.
            if (!plain || (!shape.Finite && ElementScan<TLanes, TVector, TElement>.AnySpecial(ref block, count * rowBytes)))
                Block<Any>(ref block, count, ref query, factors, ref score, shape);
        }
    }

    private static void Block<TRange>(
        ref byte block, int count, ref float query, ReadOnlySpan<float> factors, ref float score, DotShape shape)
        where TRange : struct, IRange
    {
        int fours = count - (count % 4);
        ref float factor = ref MemoryMarshal.GetReference(factors);
        for (int g = 0; g < shape.QueryCount;)
        {
            int left = shape.QueryCount - g;
            ref float q = ref Unsafe.Add(ref query, (nint)g * shape.RowLength);
            ref float s = ref Unsafe.Add(ref score, (nint)g * shape.ScoreStride);
            if (TLanes.HasManyRegisters && left >= 4) g += FourQueries<TRange>(ref block, fours, ref q, ref factor, ref s, shape);
            else if (left >= 2) g += TwoQueries<TRange>(ref block, fours, ref q, ref factor, ref s, shape);
            else g += OneQuery<TRange>(ref block, fours, ref q, ref factor, ref s, shape);
        }

        for (int r = fours; r < count; r++)
        {
            ref byte row = ref Unsafe.Add(ref block, (nint)r * shape.RowLength * TElement.Size);
            OneRow<TRange>(ref row, ref query, factors.IsEmpty ? 1 : factors[r], ref Unsafe.Add(ref score, r), shape);
        }

        nint end = EndOfVectors(shape.RowLength);
        if (end < shape.RowLength) AddTails(ref block, count, end, ref query, factors, ref score, shape);
    }

    /// <summary>Four rows at once against four queries: 16 sums in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int FourQueries<TRange>(
        ref byte row, int rowCount, ref float query, ref float factor, ref float score, DotShape shape)
        where TRange : struct, IRange
    {
        nint length = shape.RowLength;
        nint end = EndOfVectors(length);
        nint rowBytes = length * TElement.Size;
        nint stride = shape.ScoreStride;
        ref float q1 = ref Unsafe.Add(ref query, length);
        ref float q2 = ref Unsafe.Add(ref query, length * 2);
        ref float q3 = ref Unsafe.Add(ref query, length * 3);
        for (int r = 0; r < rowCount; r += 4)
        {
            ref byte r1 = ref Unsafe.Add(ref row, rowBytes);
            ref byte r2 = ref Unsafe.Add(ref r1, rowBytes);
            ref byte r3 = ref Unsafe.Add(ref r2, rowBytes);
            TVector a0 = TLanes.Create(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
            TVector c0 = a0, c1 = a0, c2 = a0, c3 = a0, d0 = a0, d1 = a0, d2 = a0, d3 = a0;
            for (nint j = 0; j < end; j += TLanes.Count)
            {
                PrefetchAhead(ref row, j);
                TVector v0 = Load<TRange>(ref Unsafe.Add(ref row, j * TElement.Size));
                TVector v1 = Load<TRange>(ref Unsafe.Add(ref r1, j * TElement.Size));
                TVector v2 = Load<TRange>(ref Unsafe.Add(ref r2, j * TElement.Size));
                TVector v3 = Load<TRange>(ref Unsafe.Add(ref r3, j * TElement.Size));
                TVector q = TLanes.Load(ref Unsafe.Add(ref query, j));
                a0 = TLanes.MultiplyAdd(v0, q, a0);
                a1 = TLanes.MultiplyAdd(v1, q, a1);
                a2 = TLanes.MultiplyAdd(v2, q, a2);
                a3 = TLanes.MultiplyAdd(v3, q, a3);
                q = TLanes.Load(ref Unsafe.Add(ref q1, j));
                b0 = TLanes.MultiplyAdd(v0, q, b0);
                b1 = TLanes.MultiplyAdd(v1, q, b1);
                b2 = TLanes.MultiplyAdd(v2, q, b2);
                b3 = TLanes.MultiplyAdd(v3, q, b3);
                q = TLanes.Load(ref Unsafe.Add(ref q2, j));
                c0 = TLanes.MultiplyAdd(v0, q, c0);
                c1 = TLanes.MultiplyAdd(v1, q, c1);
                c2 = TLanes.MultiplyAdd(v2, q, c2);
                c3 = TLanes.MultiplyAdd(v3, q, c3);
                q = TLanes.Load(ref Unsafe.Add(ref q3, j));
                d0 = TLanes.MultiplyAdd(v0, q, d0);
                d1 = TLanes.MultiplyAdd(v1, q, d1);
                d2 = TLanes.MultiplyAdd(v2, q, d2);
                d3 = TLanes.MultiplyAdd(v3, q, d3);
            }

            Vector128<float> scale = Factors(ref factor, r);
            (TLanes.Sums(a0, a1, a2, a3) * scale).StoreUnsafe(ref score);
            (TLanes.Sums(b0, b1, b2, b3) * scale).StoreUnsafe(ref Unsafe.Add(ref score, stride));
            (TLanes.Sums(c0, c1, c2, c3) * scale).StoreUnsafe(ref Unsafe.Add(ref score, stride * 2));
            (TLanes.Sums(d0, d1, d2, d3) * scale).StoreUnsafe(ref Unsafe.Add(ref score, stride * 3));
            score = ref Unsafe.Add(ref score, 4);
            row = ref Unsafe.Add(ref r3, rowBytes);
        }

        return 4;
    }

    /// <summary>Four rows at once against two queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int TwoQueries<TRange>(
        ref byte row, int rowCount, ref float query, ref float factor, ref float score, DotShape shape)
        where TRange : struct, IRange
    {
        nint length = shape.RowLength;
        nint end = EndOfVectors(length);
        nint rowBytes = length * TElement.Size;
        nint stride = shape.ScoreStride;
        ref float q1 = ref Unsafe.Add(ref query, length);
        for (int r = 0; r < rowCount; r += 4)
        {
            ref byte r1 = ref Unsafe.Add(ref row, rowBytes);
            ref byte r2 = ref Unsafe.Add(ref r1, rowBytes);
            ref byte r3 = ref Unsafe.Add(ref r2, rowBytes);
            TVector a0 = TLanes.Create(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
            for (nint j = 0; j < end; j += TLanes.Count)
            {
                PrefetchAhead(ref row, j);
                TVector q = TLanes.Load(ref Unsafe.Add(ref query, j));
                TVector p = TLanes.Load(ref Unsafe.Add(ref q1, j));
                TVector v = Load<TRange>(ref Unsafe.Add(ref row, j * TElement.Size));
                a0 = TLanes.MultiplyAdd(v, q, a0);
                b0 = TLanes.MultiplyAdd(v, p, b0);
                v = Load<TRange>(ref Unsafe.Add(ref r1, j * TElement.Size));
                a1 = TLanes.MultiplyAdd(v, q, a1);
                b1 = TLanes.MultiplyAdd(v, p, b1);
                v = Load<TRange>(ref Unsafe.Add(ref r2, j * TElement.Size));
                a2 = TLanes.MultiplyAdd(v, q, a2);
                b2 = TLanes.MultiplyAdd(v, p, b2);
                v = Load<TRange>(ref Unsafe.Add(ref r3, j * TElement.Size));
                a3 = TLanes.MultiplyAdd(v, q, a3);
                b3 = TLanes.MultiplyAdd(v, p, b3);
            }

            Vector128<float> scale = Factors(ref factor, r);
            (TLanes.Sums(a0, a1, a2, a3) * scale).StoreUnsafe(ref score);
            (TLanes.Sums(b0, b1, b2, b3) * scale).StoreUnsafe(ref Unsafe.Add(ref score, stride));
            score = ref Unsafe.Add(ref score, 4);
            row = ref Unsafe.Add(ref r3, rowBytes);
        }

        return 2;
    }

    /// <summary>Four rows at once against one query.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int OneQuery<TRange>(
        ref byte row, int rowCount, ref float query, ref float factor, ref float score, DotShape shape)
        where TRange : struct, IRange
    {
        nint length = shape.RowLength;
        nint end = EndOfVectors(length);
        nint rowBytes = length * TElement.Size;
        for (int r = 0; r < rowCount; r += 4)
        {
            ref byte r1 = ref Unsafe.Add(ref row, rowBytes);
            ref byte r2 = ref Unsafe.Add(ref r1, rowBytes);
            ref byte r3 = ref Unsafe.Add(ref r2, rowBytes);
            TVector a0 = TLanes.Create(0), a1 = a0, a2 = a0, a3 = a0;
            for (nint j = 0; j < end; j += TLanes.Count)
            {
                PrefetchAhead(ref row, j);
                TVector q = TLanes.Load(ref Unsafe.Add(ref query, j));
                TVector v = Load<TRange>(ref Unsafe.Add(ref row, j * TElement.Size));
                a0 = TLanes.MultiplyAdd(v, q, a0);
                v = Load<TRange>(ref Unsafe.Add(ref r1, j * TElement.Size));
                a1 = TLanes.MultiplyAdd(v, q, a1);
                v = Load<TRange>(ref Unsafe.Add(ref r2, j * TElement.Size));
                a2 = TLanes.MultiplyAdd(v, q, a2);
                v = Load<TRange>(ref Unsafe.Add(ref r3, j * TElement.Size));
                a3 = TLanes.MultiplyAdd(v, q, a3);
            }

            Vector128<float> scale = Factors(ref factor, r);
            (TLanes.Sums(a0, a1, a2, a3) * scale).StoreUnsafe(ref score);
            score = ref Unsafe.Add(ref score, 4);
            row = ref Unsafe.Add(ref r3, rowBytes);
        }

        return 1;
    }

    /// <summary>One row against all queries, for the up to three rows that are left.</summary>
    private static void OneRow<TRange>(ref byte row, ref float query, float factor, ref float score, DotShape shape)
        where TRange : struct, IRange
    {
        nint end = EndOfVectors(shape.RowLength);
        for (int g = 0; g < shape.QueryCount; g++)
        {
            TVector sum = TLanes.Create(0);
            for (nint j = 0; j < end; j += TLanes.Count)
            {
                TVector v = Load<TRange>(ref Unsafe.Add(ref row, j * TElement.Size));
                sum = TLanes.MultiplyAdd(v, TLanes.Load(ref Unsafe.Add(ref query, j)), sum);
            }

            score = TLanes.Sum(sum) * factor;
            score = ref Unsafe.Add(ref score, (nint)shape.ScoreStride);
            query = ref Unsafe.Add(ref query, (nint)shape.RowLength);
        }
    }

    /// <summary>The elements past the last full vector, for the whole block.</summary>
    private static void AddTails(
        ref byte block, int count, nint end, ref float query, ReadOnlySpan<float> factors, ref float score, DotShape shape)
    {
        nint length = shape.RowLength;
        for (int r = 0; r < count; r++)
        {
            float factor = factors.IsEmpty ? 1 : factors[r];
            for (nint j = end; j < length; j++)
            {
                float element = factor * TElement.LoadOne(ref Unsafe.Add(ref block, ((r * length) + j) * TElement.Size));
                for (nint g = 0; g < shape.QueryCount; g++)
                    Unsafe.Add(ref score, (g * shape.ScoreStride) + r) += element * Unsafe.Add(ref query, (g * length) + j);
            }
        }
    }

    /// <summary>Asks for the bytes of a step over four rows, some rows ahead. The processor's own prefetching loses its way among four
    /// streams that lie side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchAhead(ref byte row, nint column)
    {
        int step = 4 * TLanes.Count * TElement.Size;
        ref byte ahead = ref Unsafe.Add(ref row, PrefetchDistance + (column * 4 * TElement.Size));
        TLanes.Prefetch(ref ahead);
        if (step > CacheLine.Bytes) TLanes.Prefetch(ref Unsafe.Add(ref ahead, CacheLine.Bytes));
        if (step > 2 * CacheLine.Bytes) TLanes.Prefetch(ref Unsafe.Add(ref ahead, 2 * CacheLine.Bytes));
        if (step > 3 * CacheLine.Bytes) TLanes.Prefetch(ref Unsafe.Add(ref ahead, 3 * CacheLine.Bytes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nint EndOfVectors(nint length) => length & -TLanes.Count;

    /// <summary>The factors of four rows; 1 where there are none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Factors(ref float factor, int row) =>
        Unsafe.IsNullRef(ref factor) ? Vector128<float>.One : Vector128.LoadUnsafe(ref factor, (nuint)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load<TRange>(ref byte source)
        where TRange : struct, IRange =>
        TRange.FiniteOnly ? TElement.LoadFinite<TLanes, TVector>(ref source) : TElement.Load<TLanes, TVector>(ref source);
}
