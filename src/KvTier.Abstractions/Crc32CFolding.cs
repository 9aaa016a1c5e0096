using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvTier;

/// <summary>
/// Folding by carry-less multiplication: 256 bytes are held in four registers, and each step moves them 256 bytes ahead and adds the next
/// ones. What is left are 16 bytes that have the same CRC as everything before.
/// (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", 2009, at 512 bits.)
/// </summary>
internal static class Crc32CFolding
{
    /// <summary>Shortest input that gains.</summary>
    public const int BytesMin = 512;

    private const int LaneBytes = 16;
    private const int WideBytes = 64;
    private const int StepBytes = 4 * WideBytes;

    private static readonly Vector128<ulong> ByLane = Constants(LaneBytes);
    private static readonly Vector512<ulong> ByWide = Spread(Constants(WideBytes));
    private static readonly Vector512<ulong> ByStep = Spread(Constants(StepBytes));

    /// <summary>True where the processor multiplies 512 bits at once.</summary>
    public static bool IsSupported => Pclmulqdq.V512.IsSupported && Vector512.IsHardwareAccelerated && Sse42.X64.IsSupported;

    /// <summary>Adds at least <see cref="BytesMin"/> bytes to an inverted CRC.</summary>
    public static uint Update(uint state, ReadOnlySpan<byte> data)
    {
        ref byte source = ref MemoryMarshal.GetReference(data);
        Vector512<ulong> a = Load(ref source, 0) ^ Vector512.CreateScalar((ulong)state);
        Vector512<ulong> b = Load(ref source, WideBytes);
        Vector512<ulong> c = Load(ref source, 2 * WideBytes);
        Vector512<ulong> d = Load(ref source, 3 * WideBytes);
        Vector512<ulong> factor = ByStep;
        nint i = StepBytes;
        for (; i + StepBytes <= data.Length; i += StepBytes)
        {
            a = Fold(a, factor, Load(ref source, i));
            b = Fold(b, factor, Load(ref source, i + WideBytes));
            c = Fold(c, factor, Load(ref source, i + (2 * WideBytes)));
            d = Fold(d, factor, Load(ref source, i + (3 * WideBytes)));
        }

        factor = ByWide;
        d = Fold(Fold(Fold(a, factor, b), factor, c), factor, d);
        for (; i + WideBytes <= data.Length; i += WideBytes) d = Fold(d, factor, Load(ref source, i));
        Vector128<ulong> lane = Fold(d.GetLower().GetLower(), d.GetLower().GetUpper());
        lane = Fold(lane, d.GetUpper().GetLower());
        lane = Fold(lane, d.GetUpper().GetUpper());
        state = BitOperations.Crc32C(BitOperations.Crc32C(0u, lane[0]), lane[1]);
        return Crc32C.Update(state, data[(int)i..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Load(ref byte source, nint offset) =>
        Unsafe.ReadUnaligned<Vector512<ulong>>(ref Unsafe.Add(ref source, offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Fold(Vector512<ulong> value, Vector512<ulong> factor, Vector512<ulong> next) =>
        Pclmulqdq.V512.CarrylessMultiply(value, factor, 0x00) ^ Pclmulqdq.V512.CarrylessMultiply(value, factor, 0x11) ^ next;

    private static Vector128<ulong> Fold(Vector128<ulong> value, Vector128<ulong> next) =>
        Pclmulqdq.CarrylessMultiply(value, ByLane, 0x00) ^ Pclmulqdq.CarrylessMultiply(value, ByLane, 0x11) ^ next;

    /// <summary>
    /// The first half of a lane has 32 bits more to go than the distance, the second 32 less: its own 64 bits and the CRC's 32.
    /// </summary>
    private static Vector128<ulong> Constants(int distanceBytes) =>
        Vector128.Create(Crc32CMath.FoldConstant((8 * distanceBytes) + 32), Crc32CMath.FoldConstant((8 * distanceBytes) - 32));

    private static Vector512<ulong> Spread(Vector128<ulong> lane) =>
        Vector512.Create(Vector256.Create(lane, lane), Vector256.Create(lane, lane));
}
