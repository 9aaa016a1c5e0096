namespace KvTier.Kernels;

/// <summary>Weighted sums of rows, with the widest vectors there are.</summary>
internal static class ValueSum
{
    /// <summary>sums[g] = Σ_t weights[g, t] · values[t].</summary>
    internal static void Accumulate(
        Dtype dtype, ReadOnlySpan<byte> values, ReadOnlySpan<float> weights, Span<float> sums, ValueShape shape)
    {
        if (Lanes512.IsSupported) Run<Lanes512, Vector512<float>>(dtype, values, weights, sums, shape);
        else if (Lanes256.IsSupported) Run<Lanes256, Vector256<float>>(dtype, values, weights, sums, shape);
        else if (Lanes128.IsSupported) Run<Lanes128, Vector128<float>>(dtype, values, weights, sums, shape);
        else ScalarAttention.Accumulate(dtype, values, weights, sums, shape);
    }

    /// <summary>With vectors of one width.</summary>
    internal static void Run<TLanes, TVector>(
        Dtype dtype, ReadOnlySpan<byte> values, ReadOnlySpan<float> weights, Span<float> sums, ValueShape shape)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        switch (dtype)
        {
            case Dtype.Float32:
                ValueSumKernel<TLanes, TVector, Float32Element>.Accumulate(values, weights, sums, shape);
                break;
            case Dtype.Float16:
                ValueSumKernel<TLanes, TVector, Float16Element>.Accumulate(values, weights, sums, shape);
                break;
            case Dtype.BFloat16:
                ValueSumKernel<TLanes, TVector, BFloat16Element>.Accumulate(values, weights, sums, shape);
                break;
            case Dtype.Float8E4M3:
                ValueSumKernel<TLanes, TVector, E4M3Element>.Accumulate(values, weights, sums, shape);
                break;
            case Dtype.Float8E5M2:
                ValueSumKernel<TLanes, TVector, E5M2Element>.Accumulate(values, weights, sums, shape);
                break;
            case Dtype.Int8:
                ValueSumKernel<TLanes, TVector, Int8Element>.Accumulate(values, weights, sums, shape);
                break;
            default:
                throw new NotSupportedException(dtype.Name());
        }
    }

    /// <summary>total = decay · total + addend, with what rounding lost carried along (Kahan).</summary>
    internal static void AddTo(Span<float> total, Span<float> lost, ReadOnlySpan<float> addend, float decay)
    {
        int i = 0;
        if (Lanes512.IsSupported) i = AddTo<Lanes512, Vector512<float>>(total, lost, addend, decay);
        else if (Lanes256.IsSupported) i = AddTo<Lanes256, Vector256<float>>(total, lost, addend, decay);
        else if (Lanes128.IsSupported) i = AddTo<Lanes128, Vector128<float>>(total, lost, addend, decay);
        for (; i < total.Length; i++)
        {
            float before = total[i] * decay;
            float add = addend[i] - (lost[i] * decay);
            float after = before + add;
            lost[i] = (after - before) - add;
            total[i] = after;
        }
    }

    private static int AddTo<TLanes, TVector>(Span<float> total, Span<float> lost, ReadOnlySpan<float> addend, float decay)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector factor = TLanes.Create(decay);
        ref float totals = ref MemoryMarshal.GetReference(total);
        ref float losses = ref MemoryMarshal.GetReference(lost);
        ref float addends = ref MemoryMarshal.GetReference(addend);
        int i = 0;
        for (; i <= total.Length - TLanes.Count; i += TLanes.Count)
        {
            TVector before = TLanes.Multiply(TLanes.Load(ref Unsafe.Add(ref totals, i)), factor);
            TVector loss = TLanes.Multiply(TLanes.Load(ref Unsafe.Add(ref losses, i)), factor);
            TVector add = TLanes.Subtract(TLanes.Load(ref Unsafe.Add(ref addends, i)), loss);
            TVector after = TLanes.Add(before, add);
            TLanes.Store(TLanes.Subtract(TLanes.Subtract(after, before), add), ref Unsafe.Add(ref losses, i));
            TLanes.Store(after, ref Unsafe.Add(ref totals, i));
        }

        return i;
    }
}
