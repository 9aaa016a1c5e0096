namespace KvTier.Kernels;

/// <summary>fp32: as it lies.</summary>
internal readonly struct Float32Element : IPlainElement<Float32Element>
{
    public static int Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.Load(ref Unsafe.As<byte, float>(ref source));

    public static float LoadOne(ref byte source) => Unsafe.ReadUnaligned<float>(ref source);
}

/// <summary>bf16: the upper half of an fp32.</summary>
internal readonly struct BFloat16Element : IPlainElement<BFloat16Element>
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.ShiftLeft(TLanes.LoadInt16(ref source), 16);

    public static float LoadOne(ref byte source) => ScalarConvert.FromBFloat16(Unsafe.ReadUnaligned<ushort>(ref source));
}

/// <summary>int8: its integer value; the scale is the row's.</summary>
internal readonly struct Int8Element : IPlainElement<Int8Element>
{
    public static int Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.ToSingle(TLanes.LoadInt8(ref source));

    public static float LoadOne(ref byte source) => (sbyte)source;
}
