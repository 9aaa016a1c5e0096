namespace KvTier.Kernels;

/// <summary>
/// A vector of fp32 lanes of one width, so that each kernel is written once. The compiler makes a version of a kernel for every width, in
/// which each of these calls is one or two instructions. "Bits" names work on the lanes' 32 bits as integers.
/// </summary>
/// <typeparam name="TVector">Vector512, Vector256 or Vector128 of float.</typeparam>
internal interface ILanes<TVector>
    where TVector : struct
{
    /// <summary>Lanes of a vector.</summary>
    static abstract int Count { get; }

    /// <summary>True where 16 sums and what feeds them fit into registers.</summary>
    static abstract bool HasManyRegisters { get; }

    static abstract TVector Create(float value);

    static abstract TVector CreateBits(int bits);

    static abstract TVector Load(ref float source);

    /// <summary>Loads Count 16-bit integers, sign-extended.</summary>
    static abstract TVector LoadInt16(ref byte source);

    /// <summary>Loads Count 8-bit integers, sign-extended.</summary>
    static abstract TVector LoadInt8(ref byte source);

    /// <summary>Asks for a cache line that will be read soon; does nothing where the runtime cannot.</summary>
    static abstract void Prefetch(ref byte address);

    static abstract void Store(TVector value, ref float destination);

    /// <summary>Stores the low 16 bits of every lane.</summary>
    static abstract void Store16(TVector bits, ref byte destination);

    /// <summary>Stores the low 8 bits of every lane.</summary>
    static abstract void Store8(TVector bits, ref byte destination);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a · b + c, fused where the machine can.</summary>
    static abstract TVector MultiplyAdd(TVector a, TVector b, TVector c);

    /// <summary>NaN when one is NaN.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>Of numbers: what NaN gives is up to the machine.</summary>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>Integer lanes to fp32.</summary>
    static abstract TVector ToSingle(TVector bits);

    static abstract TVector AddBits(TVector a, TVector b);

    static abstract TVector SubtractBits(TVector a, TVector b);

    static abstract TVector And(TVector a, TVector b);

    static abstract TVector Or(TVector a, TVector b);

    static abstract TVector ShiftLeft(TVector bits, int count);

    static abstract TVector ShiftRight(TVector bits, int count);

    /// <summary>All ones where a > b as signed integers.</summary>
    static abstract TVector GreaterBits(TVector a, TVector b);

    /// <summary>All ones where a = b as integers.</summary>
    static abstract TVector EqualBits(TVector a, TVector b);

    /// <summary>All ones where a is less than b; never where one is NaN.</summary>
    static abstract TVector Less(TVector a, TVector b);

    /// <summary>All ones where a = b as numbers.</summary>
    static abstract TVector Equal(TVector a, TVector b);

    static abstract TVector Select(TVector mask, TVector whenSet, TVector otherwise);

    /// <summary>16-bit elements: the larger of the largest so far and the magnitudes (all but the sign bit) of a vector's worth.</summary>
    static abstract TVector MaxMagnitude16(TVector largest, ref byte source);

    /// <summary>8-bit elements: the larger of the largest so far and the magnitudes (all but the sign bit) of a vector's worth.</summary>
    static abstract TVector MaxMagnitude8(TVector largest, ref byte source);

    /// <summary>16-bit elements: the smaller of the smallest so far and the magnitudes less 1, where 0 wraps around to the top.</summary>
    static abstract TVector MinMagnitude16(TVector smallest, ref byte source);

    /// <summary>8-bit elements: the smaller of the smallest so far and the magnitudes less 1, where 0 wraps around to the top.</summary>
    static abstract TVector MinMagnitude8(TVector smallest, ref byte source);

    /// <summary>True when one of the 16-bit magnitudes is below a limit.</summary>
    static abstract bool AnyBelow16(TVector smallest, ushort limit);

    /// <summary>True when one of the 8-bit magnitudes is below a limit.</summary>
    static abstract bool AnyBelow8(TVector smallest, byte limit);

    /// <summary>True when one of the 16-bit magnitudes is above a limit.</summary>
    static abstract bool AnyAbove16(TVector largest, ushort limit);

    /// <summary>True when one of the 8-bit magnitudes is above a limit.</summary>
    static abstract bool AnyAbove8(TVector largest, byte limit);

    /// <summary>One bit for each lane, from its top bit.</summary>
    static abstract uint Mask(TVector mask);

    static abstract float Sum(TVector value);

    /// <summary>The largest lane; NaN when one is.</summary>
    static abstract float MaxAcross(TVector value);

    /// <summary>The sums of four vectors, in one.</summary>
    static abstract Vector128<float> Sums(TVector a, TVector b, TVector c, TVector d);
}
