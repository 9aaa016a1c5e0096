namespace KvTier.Kernels;

// The small floats are read in the same way: exponent and mantissa are moved to where fp32 has them. The faster way takes the sign along by
// sign extension and multiplies by the power of two that makes up for the smaller exponent bias. The other way is in SmallFloat.

/// <summary>fp16 (IEEE 754 binary16).</summary>
internal readonly struct Float16Element : IElement
{
    private const int Fields = 0x0FFFE000;
    private const int Bias = 112;
    private const float SmallestNormal = 6.103515625e-05f;
    private const float Largest = 65504;
    private const float Rescale = 5.192296858534828e33f; // 2^112: fp32's bias 127 less fp16's 15.

    public static int Size => 2;

    public static bool HasSpecials => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector stored = TLanes.LoadInt16(ref source);
        TVector fields = TLanes.And(TLanes.ShiftLeft(stored, 13), TLanes.CreateBits(Fields));
        return SmallFloat.Widen<TLanes, TVector>(stored, fields, Bias, SmallestNormal, Largest, SmallFloat.Infinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadFinite<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector shifted = TLanes.ShiftLeft(TLanes.LoadInt16(ref source), 13);
        return TLanes.Multiply(TLanes.And(shifted, TLanes.CreateBits(Fields | SmallFloat.SignBit)), TLanes.Create(Rescale));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LargerMagnitude<TLanes, TVector>(TVector largest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MaxMagnitude16(largest, ref source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector SmallerMagnitude<TLanes, TVector>(TVector smallest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MinMagnitude16(smallest, ref source);

    public static bool IsSpecial<TLanes, TVector>(TVector largest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyAbove16(largest, 0x7BFF);

    public static bool IsDenormal<TLanes, TVector>(TVector smallest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyBelow16(smallest, 0x3FF);

    public static float LoadOne(ref byte source) => (float)Unsafe.ReadUnaligned<Half>(ref source);
}

/// <summary>FP8 E5M2: fp16 cut to its upper byte.</summary>
internal readonly struct E5M2Element : IElement
{
    private const int Fields = 0x0FE00000;
    private const int Bias = 112;
    private const float SmallestNormal = 6.103515625e-05f;
    private const float Largest = 57344;
    private const float Rescale = 5.192296858534828e33f; // 2^112: fp32's bias 127 less E5M2's 15.

    public static int Size => 1;

    public static bool HasSpecials => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector stored = TLanes.LoadInt8(ref source);
        TVector fields = TLanes.And(TLanes.ShiftLeft(stored, 21), TLanes.CreateBits(Fields));
        return SmallFloat.Widen<TLanes, TVector>(stored, fields, Bias, SmallestNormal, Largest, SmallFloat.Infinity);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadFinite<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector shifted = TLanes.ShiftLeft(TLanes.LoadInt8(ref source), 21);
        return TLanes.Multiply(TLanes.And(shifted, TLanes.CreateBits(Fields | SmallFloat.SignBit)), TLanes.Create(Rescale));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LargerMagnitude<TLanes, TVector>(TVector largest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MaxMagnitude8(largest, ref source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector SmallerMagnitude<TLanes, TVector>(TVector smallest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MinMagnitude8(smallest, ref source);

    public static bool IsSpecial<TLanes, TVector>(TVector largest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyAbove8(largest, 0x7B);

    public static bool IsDenormal<TLanes, TVector>(TVector smallest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyBelow8(smallest, 0x3);

    public static float LoadOne(ref byte source) => ScalarConvert.FromE5M2(source);
}

/// <summary>FP8 E4M3 as OCP defines it: no infinity, NaN only where all seven bits are set, largest number 448.</summary>
internal readonly struct E4M3Element : IElement
{
    private const int Fields = 0x07F00000;
    private const int Bias = 120;
    private const float SmallestNormal = 0.015625f;
    private const float Largest = 448;
    private const float Rescale = 1.329227995784916e36f; // 2^120: fp32's bias 127 less E4M3's 7.

    public static int Size => 1;

    public static bool HasSpecials => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector stored = TLanes.LoadInt8(ref source);
        TVector fields = TLanes.And(TLanes.ShiftLeft(stored, 20), TLanes.CreateBits(Fields));
        return SmallFloat.Widen<TLanes, TVector>(stored, fields, Bias, SmallestNormal, Largest, SmallFloat.NaN);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LoadFinite<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector shifted = TLanes.ShiftLeft(TLanes.LoadInt8(ref source), 20);
        return TLanes.Multiply(TLanes.And(shifted, TLanes.CreateBits(Fields | SmallFloat.SignBit)), TLanes.Create(Rescale));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector LargerMagnitude<TLanes, TVector>(TVector largest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MaxMagnitude8(largest, ref source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector SmallerMagnitude<TLanes, TVector>(TVector smallest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MinMagnitude8(smallest, ref source);

    public static bool IsSpecial<TLanes, TVector>(TVector largest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyAbove8(largest, 0x7E);

    public static bool IsDenormal<TLanes, TVector>(TVector smallest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.AnyBelow8(smallest, 0x7);

    public static float LoadOne(ref byte source) => ScalarConvert.FromE4M3(source);
}
