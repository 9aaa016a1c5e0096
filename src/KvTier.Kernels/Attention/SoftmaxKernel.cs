namespace KvTier.Kernels;

/// <summary>Logits to weights, with the widest vectors there are.</summary>
internal static class SoftmaxKernel
{
    /// <summary>Multiplies dot products by the scale, in place.</summary>
    /// <returns>The largest; NaN when there is one.</returns>
    internal static float Scale(Span<float> logits, float scale)
    {
        if (Lanes512.IsSupported) return Scale<Lanes512, Vector512<float>>(logits, scale);
        if (Lanes256.IsSupported) return Scale<Lanes256, Vector256<float>>(logits, scale);
        if (Lanes128.IsSupported) return Scale<Lanes128, Vector128<float>>(logits, scale);
        return ScalarAttention.Scale(logits, scale);
    }

    /// <summary>weight = rowWeight · e^(logit - max), in place.</summary>
    /// <returns>Σ weight.</returns>
    internal static double Weights(Span<float> logits, ReadOnlySpan<float> rowWeights, float max)
    {
        if (Lanes512.IsSupported) return Weights<Lanes512, Vector512<float>>(logits, rowWeights, max);
        if (Lanes256.IsSupported) return Weights<Lanes256, Vector256<float>>(logits, rowWeights, max);
        if (Lanes128.IsSupported) return Weights<Lanes128, Vector128<float>>(logits, rowWeights, max);
        return ScalarAttention.Weights(logits, rowWeights, max);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static float Scale<TLanes, TVector>(Span<float> logits, float scale)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        ref float first = ref MemoryMarshal.GetReference(logits);
        int i = 0;
        float max = float.NegativeInfinity;
        if (logits.Length >= TLanes.Count)
        {
            TVector most = TLanes.Create(float.NegativeInfinity);
            for (; i <= logits.Length - TLanes.Count; i += TLanes.Count)
            {
                TVector logit = TLanes.Multiply(TLanes.Load(ref Unsafe.Add(ref first, i)), TLanes.Create(scale));
                TLanes.Store(logit, ref Unsafe.Add(ref first, i));
                most = TLanes.Max(most, logit);
            }

            max = TLanes.MaxAcross(most);
        }

        return MathF.Max(max, ScalarAttention.Scale(logits[i..], scale));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double Weights<TLanes, TVector>(Span<float> logits, ReadOnlySpan<float> rowWeights, float max)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        ref float first = ref MemoryMarshal.GetReference(logits);
        ref float firstRowWeight = ref MemoryMarshal.GetReference(rowWeights);
        TVector most = TLanes.Create(max);
        TVector sum = TLanes.Create(0);
        int i = 0;
        for (; i <= logits.Length - TLanes.Count; i += TLanes.Count)
        {
            TVector weight = ExpKernel.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Load(ref Unsafe.Add(ref first, i)), most));
            if (!rowWeights.IsEmpty) weight = TLanes.Multiply(weight, TLanes.Load(ref Unsafe.Add(ref firstRowWeight, i)));
            TLanes.Store(weight, ref Unsafe.Add(ref first, i));
            sum = TLanes.Add(sum, weight);
        }

        return TLanes.Sum(sum) + ScalarAttention.Weights(logits[i..], rowWeights.IsEmpty ? default : rowWeights[i..], max);
    }

    /// <summary>line[t] *= factors[t].</summary>
    internal static void Multiply(Span<float> line, ReadOnlySpan<float> factors)
    {
        ref float first = ref MemoryMarshal.GetReference(line);
        ref float firstFactor = ref MemoryMarshal.GetReference(factors);
        int t = 0;
        for (; t <= line.Length - Vector128<float>.Count; t += Vector128<float>.Count)
        {
            Vector128<float> product = Vector128.LoadUnsafe(ref first, (nuint)t) * Vector128.LoadUnsafe(ref firstFactor, (nuint)t);
            product.StoreUnsafe(ref first, (nuint)t);
        }

        for (; t < line.Length; t++) line[t] *= factors[t];
    }
}
