using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace KvTier;

/// <summary>Polynomials over GF(2) modulo the CRC-32C polynomial, bit-reflected: bit 31 stands for x^0.</summary>
internal static class Crc32CMath
{
    /// <summary>x^32 modulo the polynomial.</summary>
    private const uint Polynomial = 0x82F63B78;

    /// <summary>x^0.</summary>
    private const uint One = 0x80000000;

    /// <summary>x^1.</summary>
    private const uint X = 0x40000000;

    /// <summary>The product of two polynomials.</summary>
    public static uint Multiply(uint left, uint right)
    {
        uint product = 0;
        for (uint bit = One; bit != 0; bit >>= 1)
        {
            if ((left & bit) != 0) product ^= right;
            right = (right & 1) != 0 ? (right >> 1) ^ Polynomial : right >> 1;
        }

        return product;
    }

    /// <summary>x to a power.</summary>
    public static uint PowerOfX(UInt128 exponent)
    {
        uint result = One;
        for (uint square = X; exponent != 0; exponent >>= 1)
        {
            if ((exponent & 1) != 0) result = Multiply(result, square);
            square = Multiply(square, square);
        }

        return result;
    }

    /// <summary>The constant by which a carry-less multiplication moves 64 bits ahead by a number of bits.</summary>
    public static ulong FoldConstant(int bits) => (ulong)PowerOfX((UInt128)(uint)bits) << 1;

    /// <summary>Tables that move a CRC state ahead over zero bytes: one of 256 entries for each of its four bytes.</summary>
    public static uint[] ShiftTables(int zeroBytes)
    {
        uint factor = PowerOfX(8 * (UInt128)(uint)zeroBytes);
        var tables = new uint[4 * 256];
        for (int position = 0; position < 4; position++)
        {
            for (uint value = 0; value < 256; value++) tables[(position * 256) + value] = Multiply(value << (8 * position), factor);
        }

        return tables;
    }

    /// <summary>Moves a CRC state ahead by <see cref="ShiftTables"/>.</summary>
    public static uint Shift(uint[] tables, uint state) =>
        tables[state & 255] ^ tables[256 + ((state >> 8) & 255)] ^ tables[512 + ((state >> 16) & 255)] ^ tables[768 + (state >> 24)];

    /// <summary>Reads eight bytes; the CRC instructions take them least significant first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong ReadLittleEndian(ref byte source)
    {
        ulong value = Unsafe.ReadUnaligned<ulong>(ref source);
        return BitConverter.IsLittleEndian ? value : BinaryPrimitives.ReverseEndianness(value);
    }
}
