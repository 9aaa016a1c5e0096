using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector256<float>;

namespace KvTier.Kernels;

/// <summary>8 lanes: AVX2.</summary>
internal readonly struct Lanes256 : ILanes<Vector256<float>>
{
    /// <summary>True where the kernels may use it.</summary>
    internal static bool IsSupported => Avx2.IsSupported;

    public static int Count => 8;

    public static bool HasManyRegisters => Lanes512.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Create(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V CreateBits(int bits) => Vector256.Create(bits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(ref float source) => Vector256.LoadUnsafe(ref source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadInt16(ref byte source) =>
        Avx2.ConvertToVector256Int32(Vector128.LoadUnsafe(ref source).AsInt16()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadInt8(ref byte source) =>
        Avx2.ConvertToVector256Int32(Vector128.CreateScalar(Unsafe.ReadUnaligned<long>(ref source)).AsSByte()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(ref byte address) => CacheLine.Prefetch(ref address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V value, ref float destination) => value.StoreUnsafe(ref destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store16(V bits, ref byte destination) =>
        Low16(bits).AsByte().StoreUnsafe(ref destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store8(V bits, ref byte destination)
    {
        Vector128<ushort> low = Low16(bits);
        Unsafe.WriteUnaligned(ref destination, Vector128.Narrow(low, low).AsInt64().ToScalar());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V a, V b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Subtract(V a, V b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Multiply(V a, V b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MultiplyAdd(V a, V b, V c) => Vector256.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Max(V a, V b) => Vector256.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Min(V a, V b) => Vector256.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ToSingle(V bits) => Vector256.ConvertToSingle(bits.AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V AddBits(V a, V b) => (a.AsInt32() + b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V SubtractBits(V a, V b) => (a.AsInt32() - b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V And(V a, V b) => a & b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Or(V a, V b) => a | b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ShiftLeft(V bits, int count) => (bits.AsInt32() << count).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ShiftRight(V bits, int count) => (bits.AsUInt32() >> count).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V GreaterBits(V a, V b) => Vector256.GreaterThan(a.AsInt32(), b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V EqualBits(V a, V b) => Vector256.Equals(a.AsInt32(), b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Less(V a, V b) => Vector256.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Equal(V a, V b) => Vector256.Equals(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Select(V mask, V whenSet, V otherwise) => Vector256.ConditionalSelect(mask, whenSet, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MaxMagnitude16(V largest, ref byte source) =>
        Vector256.Max(largest.AsUInt16(), Vector256.LoadUnsafe(ref source).AsUInt16() & Vector256.Create((ushort)0x7FFF)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MaxMagnitude8(V largest, ref byte source) =>
        Vector256.Max(largest.AsByte(), Vector256.LoadUnsafe(ref source) & Vector256.Create((byte)0x7F)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyAbove16(V largest, ushort limit) => Vector256.GreaterThanAny(largest.AsUInt16(), Vector256.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyAbove8(V largest, byte limit) => Vector256.GreaterThanAny(largest.AsByte(), Vector256.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MinMagnitude16(V smallest, ref byte source)
    {
        Vector256<ushort> magnitude = Vector256.LoadUnsafe(ref source).AsUInt16() & Vector256.Create((ushort)0x7FFF);
        return Vector256.Min(smallest.AsUInt16(), magnitude - Vector256<ushort>.One).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MinMagnitude8(V smallest, ref byte source)
    {
        Vector256<byte> magnitude = Vector256.LoadUnsafe(ref source).AsByte() & Vector256.Create((byte)0x7F);
        return Vector256.Min(smallest.AsByte(), magnitude - Vector256<byte>.One).AsSingle();
    }

    public static bool AnyBelow16(V smallest, ushort limit) => Vector256.LessThanAny(smallest.AsUInt16(), Vector256.Create(limit));

    public static bool AnyBelow8(V smallest, byte limit) => Vector256.LessThanAny(smallest.AsByte(), Vector256.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Mask(V mask) => (uint)Vector256.ExtractMostSignificantBits(mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V value) => Vector256.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(V value) => Lanes128.MaxAcross(Vector128.Max(value.GetLower(), value.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(V a, V b, V c, V d)
    {
        // Pairs are added within each 128 bits first; what is left to fold is one vector instead of four.
        V ab = Avx.UnpackLow(a, b) + Avx.UnpackHigh(a, b);
        V cd = Avx.UnpackLow(c, d) + Avx.UnpackHigh(c, d);
        V sums = Avx.UnpackLow(ab.AsDouble(), cd.AsDouble()).AsSingle()
            + Avx.UnpackHigh(ab.AsDouble(), cd.AsDouble()).AsSingle();
        return sums.GetLower() + sums.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> Low16(V bits) => Vector128.Narrow(bits.GetLower().AsUInt32(), bits.GetUpper().AsUInt32());
}
