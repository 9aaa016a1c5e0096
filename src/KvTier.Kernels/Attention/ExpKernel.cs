namespace KvTier.Kernels;

/// <summary>e^x of whole vectors, for the softmax: x at most 0. Error below 2 units in the last place.</summary>
internal static class ExpKernel
{
    // Below this e^x is denormal; next to a largest weight of 1 it is nothing.
    private const float Smallest = -87.3f;
    private const float Log2E = 1.44269504f;

    // ln 2 in two parts (Cody and Waite): the first has so few bits that its product with a whole number is exact.
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;

    // 1.5 · 2^23: adding it rounds to a whole number, which then lies in the low bits.
    private const float RoundingShift = 12582912f;

    /// <summary>e^x = 2^n · e^r with |r| at most ln 2 / 2, e^r by a polynomial of degree 7 (Taylor's; its remainder is
    /// under 2^-27).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Exp<TLanes, TVector>(TVector x)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector shift = TLanes.Create(RoundingShift);
        TVector bounded = TLanes.Max(x, TLanes.Create(Smallest));
        TVector shifted = TLanes.MultiplyAdd(bounded, TLanes.Create(Log2E), shift);
        TVector n = TLanes.Subtract(shifted, shift);
        TVector r = TLanes.MultiplyAdd(n, TLanes.Create(-Ln2High), bounded);
        r = TLanes.MultiplyAdd(n, TLanes.Create(-Ln2Low), r);
        TVector p = TLanes.Create(1f / 5040);
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1f / 720));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1f / 120));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1f / 24));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1f / 6));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(0.5f));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1));
        p = TLanes.MultiplyAdd(p, r, TLanes.Create(1));

        // The low bits of the shifted number are n; moved into the exponent's place they make 2^n. A product, so that NaN stays NaN.
        TVector power = TLanes.AddBits(TLanes.ShiftLeft(shifted, 23), TLanes.Create(1));
        TVector value = TLanes.Multiply(p, power);
        return TLanes.Select(TLanes.Less(x, TLanes.Create(Smallest)), TLanes.Create(0), value);
    }
}
