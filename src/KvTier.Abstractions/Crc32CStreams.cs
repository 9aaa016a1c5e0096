using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace KvTier;

/// <summary>
/// Three streams at once: the CRC instruction takes three cycles but a new one starts every cycle, so one stream leaves two thirds of
/// the unit idle. The streams' states are joined by tables.
/// </summary>
internal static class Crc32CStreams
{
    /// <summary>Shortest input that gains.</summary>
    public const int BytesMin = 3 * ShortBytes;

    /// <summary>Bytes of each stream between two joins: long ones for bulk, short ones for what is left of it.</summary>
    private const int LongBytes = 4096;
    private const int ShortBytes = 256;

    private static readonly uint[] LongShift = Crc32CMath.ShiftTables(LongBytes);
    private static readonly uint[] ShortShift = Crc32CMath.ShiftTables(ShortBytes);

    /// <summary>True where the processor has the instruction; with tables three streams only cost cache.</summary>
    public static bool IsSupported => Sse42.X64.IsSupported || Crc32.Arm64.IsSupported;

    /// <summary>Adds bytes to an inverted CRC.</summary>
    public static uint Update(uint state, ReadOnlySpan<byte> data)
    {
        state = Bulk(state, ref data, LongBytes, LongShift);
        state = Bulk(state, ref data, ShortBytes, ShortShift);
        return Crc32C.Update(state, data);
    }

    private static uint Bulk(uint state, ref ReadOnlySpan<byte> data, int bytes, uint[] shift)
    {
        ref byte source = ref MemoryMarshal.GetReference(data);
        nint start = 0;
        for (; start + (3 * bytes) <= data.Length; start += 3 * bytes)
        {
            uint second = 0;
            uint third = 0;
            for (nint i = start; i < start + bytes; i += 8)
            {
                state = BitOperations.Crc32C(state, Crc32CMath.ReadLittleEndian(ref Unsafe.Add(ref source, i)));
                second = BitOperations.Crc32C(second, Crc32CMath.ReadLittleEndian(ref Unsafe.Add(ref source, i + bytes)));
                third = BitOperations.Crc32C(third, Crc32CMath.ReadLittleEndian(ref Unsafe.Add(ref source, i + bytes + bytes)));
            }

            state = Crc32CMath.Shift(shift, Crc32CMath.Shift(shift, state) ^ second) ^ third;
        }

        data = data[(int)start..];
        return state;
    }
}
