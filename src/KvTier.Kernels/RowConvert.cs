using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace KvTier.Kernels;

/// <summary>Elements of every dtype to fp32 and back. Little-endian, as payloads are.</summary>
public static class RowConvert
{
    /// <summary>Converts elements to fp32.</summary>
    /// <param name="dtype">Any dtype but raw; int8 becomes its integer value.</param>
    /// <param name="source">The elements.</param>
    /// <param name="destination">As many floats.</param>
    public static void ToSingle(Dtype dtype, ReadOnlySpan<byte> source, Span<float> destination)
    {
        int size = dtype.SizeBytes();
        for (int i = 0; i < destination.Length; i++) destination[i] = ToSingle(dtype, source.Slice(i * size, size));
    }

    /// <summary>Converts fp32 to another dtype, rounding to nearest even; int8 is rounded and saturated.</summary>
    /// <param name="dtype">Any dtype but raw.</param>
    /// <param name="source">The floats.</param>
    /// <param name="destination">Room for as many elements.</param>
    public static void FromSingle(Dtype dtype, ReadOnlySpan<float> source, Span<byte> destination)
    {
        int size = dtype.SizeBytes();
        for (int i = 0; i < source.Length; i++) FromSingle(dtype, source[i], destination.Slice(i * size, size));
    }

    private static float ToSingle(Dtype dtype, ReadOnlySpan<byte> bytes) => dtype switch
    {
        Dtype.Float32 => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        Dtype.Float16 => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes),
        Dtype.BFloat16 => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16),
        Dtype.Int8 => (sbyte)bytes[0],
        _ => throw new NotSupportedException(dtype.Name()),
    };

    private static void FromSingle(Dtype dtype, float value, Span<byte> bytes)
    {
        switch (dtype)
        {
            case Dtype.Float32:
                MemoryMarshal.Write(bytes, value);
                break;
            case Dtype.Float16:
                BinaryPrimitives.WriteHalfLittleEndian(bytes, (Half)value);
                break;
            case Dtype.BFloat16:
                uint bits = BitConverter.SingleToUInt32Bits(value);
                if (!float.IsNaN(value)) bits += 0x7FFF + ((bits >> 16) & 1);
                BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(bits >> 16));
                break;
            case Dtype.Int8:
                bytes[0] = (byte)(sbyte)Math.Clamp(MathF.Round(value), -128, 127);
                break;
            default:
                throw new NotSupportedException(dtype.Name());
        }
    }
}
