namespace KvTier.Kernels;

/// <summary>An element type of one or two bytes, as the kernels write it.</summary>
internal interface INarrowing
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    /// <summary>fp32 to codes in the low bits of each lane.</summary>
    static abstract TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>Stores one element: what the readable reference says.</summary>
    static abstract void StoreOne(float value, ref byte destination);
}

/// <summary>To fp16.</summary>
internal readonly struct Float16Narrowing : INarrowing
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        SmallFloat.Narrow<TLanes, TVector>(value, mantissaBits: 10, bias: 15, largest: 0x7C00, nan: 0x7E00, signShift: 16);

    public static void StoreOne(float value, ref byte destination) => Unsafe.WriteUnaligned(ref destination, (Half)value);
}

/// <summary>To bf16.</summary>
internal readonly struct BFloat16Narrowing : INarrowing
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector magnitude = TLanes.And(value, TLanes.CreateBits(0x7FFFFFFF));
        TVector isNaN = TLanes.GreaterBits(magnitude, TLanes.CreateBits(SmallFloat.Infinity));
        TVector odd = TLanes.And(TLanes.ShiftRight(value, 16), TLanes.CreateBits(1));
        TVector rounded = TLanes.AddBits(TLanes.AddBits(value, TLanes.CreateBits(0x7FFF)), odd);
        TVector quiet = TLanes.Or(value, TLanes.CreateBits(0x00400000));
        return TLanes.ShiftRight(TLanes.Select(isNaN, quiet, rounded), 16);
    }

    public static void StoreOne(float value, ref byte destination) =>
        Unsafe.WriteUnaligned(ref destination, ScalarConvert.ToBFloat16(value));
}

/// <summary>To FP8 E4M3, saturating.</summary>
internal readonly struct E4M3Narrowing : INarrowing
{
    public static int Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        SmallFloat.Narrow<TLanes, TVector>(value, mantissaBits: 3, bias: 7, largest: 0x7E, nan: 0x7F, signShift: 24);

    public static void StoreOne(float value, ref byte destination) => destination = ScalarConvert.ToE4M3(value);
}

/// <summary>To FP8 E5M2.</summary>
internal readonly struct E5M2Narrowing : INarrowing
{
    public static int Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        SmallFloat.Narrow<TLanes, TVector>(value, mantissaBits: 2, bias: 15, largest: 0x7C, nan: 0x7E, signShift: 24);

    public static void StoreOne(float value, ref byte destination) => destination = ScalarConvert.ToE5M2(value);
}

/// <summary>To int8, saturating.</summary>
internal readonly struct Int8Narrowing : INarrowing
{
    // 1.5 · 2^23: after adding it, an fp32 has its integer part, rounded to nearest even, in its low bits.
    private const float RoundingShift = 12582912f;

    public static int Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Narrow<TLanes, TVector>(TVector value)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector magnitude = TLanes.And(value, TLanes.CreateBits(0x7FFFFFFF));
        TVector isNaN = TLanes.GreaterBits(magnitude, TLanes.CreateBits(SmallFloat.Infinity));
        TVector number = TLanes.Select(isNaN, TLanes.Create(0), value);
        TVector clamped = TLanes.Max(TLanes.Min(number, TLanes.Create(127)), TLanes.Create(-128));
        return TLanes.And(TLanes.Add(clamped, TLanes.Create(RoundingShift)), TLanes.CreateBits(0xFF));
    }

    public static void StoreOne(float value, ref byte destination) => destination = (byte)ScalarConvert.ToInt8(value);
}
