using System.Runtime.Intrinsics.Arm;
using V = System.Runtime.Intrinsics.Vector128<float>;

namespace KvTier.Kernels;

/// <summary>4 lanes: NEON, or SSE on processors without AVX2.</summary>
internal readonly struct Lanes128 : ILanes<Vector128<float>>
{
    /// <summary>True where the kernels may use it.</summary>
    internal static bool IsSupported => Vector128.IsHardwareAccelerated;

    public static int Count => 4;

    public static bool HasManyRegisters => AdvSimd.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Create(float value) => Vector128.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V CreateBits(int bits) => Vector128.Create(bits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(ref float source) => Vector128.LoadUnsafe(ref source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadInt16(ref byte source) =>
        Vector128.WidenLower(Vector128.CreateScalar(Unsafe.ReadUnaligned<long>(ref source)).AsInt16()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V LoadInt8(ref byte source) =>
        Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(Unsafe.ReadUnaligned<int>(ref source)).AsSByte())).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(ref byte address) => CacheLine.Prefetch(ref address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V value, ref float destination) => value.StoreUnsafe(ref destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store16(V bits, ref byte destination) =>
        Unsafe.WriteUnaligned(ref destination, Low16(bits).AsInt64().ToScalar());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store8(V bits, ref byte destination)
    {
        Vector128<ushort> low = Low16(bits);
        Unsafe.WriteUnaligned(ref destination, Vector128.Narrow(low, low).AsInt32().ToScalar());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Add(V a, V b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Subtract(V a, V b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Multiply(V a, V b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MultiplyAdd(V a, V b, V c) => Vector128.MultiplyAddEstimate(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Max(V a, V b) => Vector128.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Min(V a, V b) => Vector128.MinNative(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V ToSingle(V bits) => Vector128.ConvertToSingle(bits.AsInt32());

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
    public static V GreaterBits(V a, V b) => Vector128.GreaterThan(a.AsInt32(), b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V EqualBits(V a, V b) => Vector128.Equals(a.AsInt32(), b.AsInt32()).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Less(V a, V b) => Vector128.LessThan(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Equal(V a, V b) => Vector128.Equals(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Select(V mask, V whenSet, V otherwise) => Vector128.ConditionalSelect(mask, whenSet, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MaxMagnitude16(V largest, ref byte source) =>
        Vector128.Max(largest.AsUInt16(), Vector128.LoadUnsafe(ref source).AsUInt16() & Vector128.Create((ushort)0x7FFF)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MaxMagnitude8(V largest, ref byte source) =>
        Vector128.Max(largest.AsByte(), Vector128.LoadUnsafe(ref source) & Vector128.Create((byte)0x7F)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyAbove16(V largest, ushort limit) => Vector128.GreaterThanAny(largest.AsUInt16(), Vector128.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyAbove8(V largest, byte limit) => Vector128.GreaterThanAny(largest.AsByte(), Vector128.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MinMagnitude16(V smallest, ref byte source)
    {
        Vector128<ushort> magnitude = Vector128.LoadUnsafe(ref source).AsUInt16() & Vector128.Create((ushort)0x7FFF);
        return Vector128.Min(smallest.AsUInt16(), magnitude - Vector128<ushort>.One).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V MinMagnitude8(V smallest, ref byte source)
    {
        Vector128<byte> magnitude = Vector128.LoadUnsafe(ref source).AsByte() & Vector128.Create((byte)0x7F);
        return Vector128.Min(smallest.AsByte(), magnitude - Vector128<byte>.One).AsSingle();
    }

    public static bool AnyBelow16(V smallest, ushort limit) => Vector128.LessThanAny(smallest.AsUInt16(), Vector128.Create(limit));

    public static bool AnyBelow8(V smallest, byte limit) => Vector128.LessThanAny(smallest.AsByte(), Vector128.Create(limit));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Mask(V mask) => (uint)Vector128.ExtractMostSignificantBits(mask);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(V value) => Vector128.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(V value) => MathF.Max(MathF.Max(value[0], value[1]), MathF.Max(value[2], value[3]));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sums(V a, V b, V c, V d) =>
        HorizontalSum.Of(a, b, c, d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<ushort> Low16(V bits) => Vector128.Narrow(bits.AsUInt32(), bits.AsUInt32());
}
