namespace KvTier.Kernels;

/// <summary>The arithmetic that fp16, E5M2 and E4M3 share.</summary>
internal static class SmallFloat
{
    internal const int Infinity = 0x7F800000;
    internal const int NaN = 0x7FC00000;
    private const int Magnitude = 0x7FFFFFFF;
    internal const int SignBit = unchecked((int)0x80000000);

    /// <summary>Widens any pattern, without arithmetic on denormals.</summary>
    /// <param name="stored">The sign-extended elements, for their signs.</param>
    /// <param name="fields">Exponent and mantissa where fp32 has them.</param>
    /// <param name="bias">fp32's exponent bias less the type's.</param>
    /// <param name="smallestNormal">The type's smallest normal number.</param>
    /// <param name="largest">The type's largest number; what comes out above it means infinity or NaN.</param>
    /// <param name="specialBits">What is set in the result for those.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Widen<TLanes, TVector>(
        TVector stored, TVector fields, int bias, float smallestNormal, float largest, int specialBits)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        // With the exponent rebased, a normal is right. A denormal m · 2^-s comes out as n/2 · (1 + m · 2^-s / n), n the smallest normal:
        // twice that less n is right, and it is the smaller of the two for denormals only.
        TVector rebased = TLanes.AddBits(fields, TLanes.CreateBits(bias << 23));
        TVector lowered = TLanes.MultiplyAdd(rebased, TLanes.Create(2), TLanes.Create(-smallestNormal));
        TVector magnitude = TLanes.Min(rebased, lowered);
        TVector isSpecial = TLanes.Less(TLanes.Create(largest), rebased);
        TVector special = TLanes.And(isSpecial, TLanes.CreateBits(specialBits));
        return TLanes.Or(TLanes.Or(magnitude, special), TLanes.And(stored, TLanes.CreateBits(SignBit)));
    }

    /// <summary>Narrows fp32, rounding to nearest even.</summary>
    /// <param name="value">fp32 lanes.</param>
    /// <param name="mantissaBits">Of the target.</param>
    /// <param name="bias">Exponent bias of the target; its smallest normal exponent is 1 - bias.</param>
    /// <param name="largest">The code that what is too large becomes: infinity, or the largest number.</param>
    /// <param name="nan">The code of NaN.</param>
    /// <param name="signShift">How far down the sign bit moves.</param>
    /// <returns>Codes in the low bits.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Narrow<TLanes, TVector>(
        TVector value, int mantissaBits, int bias, int largest, int nan, [ConstantExpected] int signShift)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int shift = 23 - mantissaBits;
        TVector magnitude = TLanes.And(value, TLanes.CreateBits(Magnitude));
        TVector sign = TLanes.ShiftRight(TLanes.And(value, TLanes.CreateBits(SignBit)), signShift);

        // Normal: add just under half of the last kept bit, and that bit, so that a tie goes to even; then cut.
        TVector odd = TLanes.And(TLanes.ShiftRight(magnitude, shift), TLanes.CreateBits(1));
        TVector rounded = TLanes.AddBits(TLanes.AddBits(magnitude, TLanes.CreateBits((1 << (shift - 1)) - 1)), odd);
        TVector normal = TLanes.SubtractBits(TLanes.ShiftRight(rounded, shift), TLanes.CreateBits((127 - bias) << mantissaBits));

        // Denormal: adding the power of two whose last bit weighs as much as the target's smallest number lets the addition round.
        TVector magic = TLanes.CreateBits((127 + 1 - bias - mantissaBits + 23) << 23);
        TVector denormal = TLanes.SubtractBits(TLanes.Add(magnitude, magic), magic);

        TVector isDenormal = TLanes.GreaterBits(TLanes.CreateBits((127 + 1 - bias) << 23), magnitude);
        TVector code = TLanes.Select(isDenormal, denormal, normal);
        TVector most = TLanes.CreateBits(largest);
        code = TLanes.Select(TLanes.GreaterBits(code, most), most, code);
        code = TLanes.Select(TLanes.GreaterBits(magnitude, TLanes.CreateBits(Infinity)), TLanes.CreateBits(nan), code);
        return TLanes.Or(code, sign);
    }
}
