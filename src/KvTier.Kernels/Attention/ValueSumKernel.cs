namespace KvTier.Kernels;

/// <summary>Weighted sums of rows for one vector width and one dtype. A tile of columns is summed over all rows in registers, for up to
/// four queries (two vectors wide) or eight (one vector wide) at once, so that each value is widened once for them.</summary>
internal static class ValueSumKernel<TLanes, TVector, TElement>
    where TLanes : struct, ILanes<TVector>
    where TVector : struct
    where TElement : struct, IElement
{
    private const int PrefetchRows = 16;

    internal static void Accumulate(ReadOnlySpan<byte> values, ReadOnlySpan<float> weights, Span<float> sums, ValueShape shape)
    {
        ref byte value = ref MemoryMarshal.GetReference(values);
        nint bytes = (nint)shape.RowCount * shape.RowLength * TElement.Size;
        bool plain = ElementScan<TLanes, TVector, TElement>.LooksPlain(ref value, bytes);
        if (plain) Run<Finite>(values, weights, sums, shape);
        if (!plain || ElementScan<TLanes, TVector, TElement>.AnySpecial(ref value, bytes)) Run<Any>(values, weights, sums, shape);
    }

    private static void Run<TRange>(ReadOnlySpan<byte> values, ReadOnlySpan<float> weights, Span<float> sums, ValueShape shape)
        where TRange : struct, IRange
    {
        ref byte value = ref MemoryMarshal.GetReference(values);
        ref float weight = ref MemoryMarshal.GetReference(weights);
        ref float sum = ref MemoryMarshal.GetReference(sums);
        int width = TLanes.Count;
        int end = shape.RowLength - (shape.RowLength % width);
        for (int g = 0; g < shape.QueryCount;)
        {
            int queries = shape.QueryCount - g;
            ref float w = ref Unsafe.Add(ref weight, (nint)g * shape.WeightStride);
            ref float s = ref Unsafe.Add(ref sum, (nint)g * shape.RowLength);
            int step = queries > 4 ? width : 2 * width;
            int used = Math.Min(queries, queries > 4 ? 8 : 4);
            int j = 0;
            for (; j <= end - step; j += step)
            {
                ref byte tile = ref Unsafe.Add(ref value, j * TElement.Size);
                if (queries > 4) Eight<TRange>(ref tile, ref w, ref Unsafe.Add(ref s, j), used, shape);
                else if (queries > 1) Four<TRange>(ref tile, ref w, ref Unsafe.Add(ref s, j), used, shape);
                else One<TRange>(ref tile, ref w, ref Unsafe.Add(ref s, j), shape);
            }

            if (j < end) Eight<TRange>(ref Unsafe.Add(ref value, j * TElement.Size), ref w, ref Unsafe.Add(ref s, j), used, shape);
            Columns(ref value, ref w, ref s, end, used, shape);
            g += used;
        }
    }

    /// <summary>One vector of columns for up to eight queries; where there are fewer, the last one fills the places, stored once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Eight<TRange>(ref byte value, ref float weight, ref float sum, int used, ValueShape shape)
        where TRange : struct, IRange
    {
        nint stride = shape.WeightStride;
        nint rowBytes = (nint)shape.RowLength * TElement.Size;
        ref float w0 = ref weight;
        ref float w1 = ref Unsafe.Add(ref weight, stride * Math.Min(1, used - 1));
        ref float w2 = ref Unsafe.Add(ref weight, stride * Math.Min(2, used - 1));
        ref float w3 = ref Unsafe.Add(ref weight, stride * Math.Min(3, used - 1));
        ref float w4 = ref Unsafe.Add(ref weight, stride * Math.Min(4, used - 1));
        ref float w5 = ref Unsafe.Add(ref weight, stride * Math.Min(5, used - 1));
        ref float w6 = ref Unsafe.Add(ref weight, stride * Math.Min(6, used - 1));
        ref float w7 = ref Unsafe.Add(ref weight, stride * Math.Min(7, used - 1));
        TVector s0 = TLanes.Create(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
        for (nint t = 0; t < shape.RowCount; t++)
        {
            PrefetchAhead(ref value, t, TLanes.Count * TElement.Size, shape.RowCount, rowBytes);
            TVector v = Load<TRange>(ref value);
            s0 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w0, t)), v, s0);
            s1 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w1, t)), v, s1);
            s2 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w2, t)), v, s2);
            s3 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w3, t)), v, s3);
            s4 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w4, t)), v, s4);
            s5 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w5, t)), v, s5);
            s6 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w6, t)), v, s6);
            s7 = TLanes.MultiplyAdd(TLanes.Create(Unsafe.Add(ref w7, t)), v, s7);
            value = ref Unsafe.Add(ref value, rowBytes);
        }

        nint length = shape.RowLength;
        TLanes.Store(s0, ref sum);
        if (used > 1) TLanes.Store(s1, ref Unsafe.Add(ref sum, length));
        if (used > 2) TLanes.Store(s2, ref Unsafe.Add(ref sum, length * 2));
        if (used > 3) TLanes.Store(s3, ref Unsafe.Add(ref sum, length * 3));
        if (used > 4) TLanes.Store(s4, ref Unsafe.Add(ref sum, length * 4));
        if (used > 5) TLanes.Store(s5, ref Unsafe.Add(ref sum, length * 5));
        if (used > 6) TLanes.Store(s6, ref Unsafe.Add(ref sum, length * 6));
        if (used > 7) TLanes.Store(s7, ref Unsafe.Add(ref sum, length * 7));
    }

    /// <summary>Two vectors of columns for two to four queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<TRange>(ref byte value, ref float weight, ref float sum, int used, ValueShape shape)
        where TRange : struct, IRange
    {
        nint rowBytes = (nint)shape.RowLength * TElement.Size;
        ref float w0 = ref weight;
        ref float w1 = ref Unsafe.Add(ref weight, (nint)shape.WeightStride);
        ref float w2 = ref Unsafe.Add(ref weight, (nint)shape.WeightStride * Math.Min(2, used - 1));
        ref float w3 = ref Unsafe.Add(ref weight, (nint)shape.WeightStride * Math.Min(3, used - 1));
        TVector s0 = TLanes.Create(0), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        for (nint t = 0; t < shape.RowCount; t++)
        {
            PrefetchAhead(ref value, t, 2 * TLanes.Count * TElement.Size, shape.RowCount, rowBytes);
            TVector left = Load<TRange>(ref value);
            TVector right = Load<TRange>(ref Unsafe.Add(ref value, TLanes.Count * TElement.Size));
            TVector w = TLanes.Create(Unsafe.Add(ref w0, t));
            s0 = TLanes.MultiplyAdd(w, left, s0);
            t0 = TLanes.MultiplyAdd(w, right, t0);
            w = TLanes.Create(Unsafe.Add(ref w1, t));
            s1 = TLanes.MultiplyAdd(w, left, s1);
            t1 = TLanes.MultiplyAdd(w, right, t1);
            w = TLanes.Create(Unsafe.Add(ref w2, t));
            s2 = TLanes.MultiplyAdd(w, left, s2);
            t2 = TLanes.MultiplyAdd(w, right, t2);
            w = TLanes.Create(Unsafe.Add(ref w3, t));
            s3 = TLanes.MultiplyAdd(w, left, s3);
            t3 = TLanes.MultiplyAdd(w, right, t3);
            value = ref Unsafe.Add(ref value, rowBytes);
        }

        nint length = shape.RowLength;
        Pair(s0, t0, ref sum);
        Pair(s1, t1, ref Unsafe.Add(ref sum, length));
        if (used > 2) Pair(s2, t2, ref Unsafe.Add(ref sum, length * 2));
        if (used > 3) Pair(s3, t3, ref Unsafe.Add(ref sum, length * 3));
    }

    /// <summary>Two vectors of columns for one query; two sums for each, as one would wait for itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TRange>(ref byte value, ref float weight, ref float sum, ValueShape shape)
        where TRange : struct, IRange
    {
        nint rowBytes = (nint)shape.RowLength * TElement.Size;
        nint right = TLanes.Count * TElement.Size;
        TVector s0 = TLanes.Create(0), s1 = s0, t0 = s0, t1 = s0;
        nint t = 0;
        for (; t < shape.RowCount - 1; t += 2)
        {
            PrefetchAhead(ref value, t, 2 * TLanes.Count * TElement.Size, shape.RowCount, rowBytes);
            PrefetchAhead(ref Unsafe.Add(ref value, rowBytes), t + 1, 2 * TLanes.Count * TElement.Size, shape.RowCount, rowBytes);
            TVector w = TLanes.Create(Unsafe.Add(ref weight, t));
            s0 = TLanes.MultiplyAdd(w, Load<TRange>(ref value), s0);
            t0 = TLanes.MultiplyAdd(w, Load<TRange>(ref Unsafe.Add(ref value, right)), t0);
            value = ref Unsafe.Add(ref value, rowBytes);
            w = TLanes.Create(Unsafe.Add(ref weight, t + 1));
            s1 = TLanes.MultiplyAdd(w, Load<TRange>(ref value), s1);
            t1 = TLanes.MultiplyAdd(w, Load<TRange>(ref Unsafe.Add(ref value, right)), t1);
            value = ref Unsafe.Add(ref value, rowBytes);
        }

        if (t < shape.RowCount)
        {
            TVector w = TLanes.Create(Unsafe.Add(ref weight, t));
            s0 = TLanes.MultiplyAdd(w, Load<TRange>(ref value), s0);
            t0 = TLanes.MultiplyAdd(w, Load<TRange>(ref Unsafe.Add(ref value, right)), t0);
        }

        Pair(TLanes.Add(s0, s1), TLanes.Add(t0, t1), ref sum);
    }

    /// <summary>The columns past the last full vector.</summary>
    private static void Columns(ref byte value, ref float weight, ref float sum, int first, int queries, ValueShape shape)
    {
        nint rowBytes = (nint)shape.RowLength * TElement.Size;
        for (int j = first; j < shape.RowLength; j++)
        {
            for (int g = 0; g < queries; g++)
            {
                float total = 0;
                for (nint t = 0; t < shape.RowCount; t++)
                {
                    ref byte at = ref Unsafe.Add(ref value, (t * rowBytes) + (j * TElement.Size));
                    total += Unsafe.Add(ref weight, ((nint)g * shape.WeightStride) + t) * TElement.LoadOne(ref at);
                }

                Unsafe.Add(ref sum, ((nint)g * shape.RowLength) + j) = total;
            }
        }
    }

    /// <summary>Asks for this tile's piece of a row some rows down, past the last row for the next tile's piece of the first rows. The
    /// processor does not guess such strides in time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchAhead(ref byte value, nint row, nint tileBytes, int rowCount, nint rowBytes)
    {
        nint ahead = row + PrefetchRows < rowCount ? PrefetchRows * rowBytes : ((PrefetchRows - rowCount) * rowBytes) + tileBytes;
        TLanes.Prefetch(ref Unsafe.Add(ref value, ahead));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pair(TVector left, TVector right, ref float sum)
    {
        TLanes.Store(left, ref sum);
        TLanes.Store(right, ref Unsafe.Add(ref sum, TLanes.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load<TRange>(ref byte source)
        where TRange : struct, IRange =>
        TRange.FiniteOnly ? TElement.LoadFinite<TLanes, TVector>(ref source) : TElement.Load<TLanes, TVector>(ref source);
}
