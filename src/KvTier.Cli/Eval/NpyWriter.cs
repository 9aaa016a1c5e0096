using System.Buffers.Binary;
using System.Text;
using KvTier.Kernels;

namespace KvTier.Cli;

/// <summary>Writes <c>.npy</c> files, version 1 of the format, which NumPy and <see cref="NpyReader"/> read.</summary>
internal static class NpyWriter
{
    private const int Alignment = 64;
    private const int PieceElements = 1 << 16;

    /// <summary>Writes an array.</summary>
    /// <param name="path">The file, replaced when it is there.</param>
    /// <param name="dtype">Float16 or Float32.</param>
    /// <param name="shape">Length of every axis.</param>
    /// <param name="values">The elements in C order.</param>
    public static void Write(string path, Dtype dtype, IReadOnlyList<int> shape, ReadOnlySpan<float> values)
    {
        string descr = dtype switch
        {
            Dtype.Float16 => "<f2",
            Dtype.Float32 => "<f4",
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "fp16 or fp32"),
        };
        if (NpyArray.CountOf(shape) != values.Length) throw new ArgumentException("another number of elements", nameof(shape));
        using FileStream file = File.Create(path);
        file.Write(Header(descr, shape));
        byte[] piece = new byte[PieceElements * dtype.SizeBytes()];
        for (int at = 0; at < values.Length; at += PieceElements)
        {
            ReadOnlySpan<float> part = values.Slice(at, Math.Min(PieceElements, values.Length - at));
            Span<byte> bytes = piece.AsSpan(0, part.Length * dtype.SizeBytes());
            RowConvert.FromSingle(dtype, part, bytes);
            file.Write(bytes);
        }
    }

    private static byte[] Header(string descr, IReadOnlyList<int> shape)
    {
        const int Preamble = 10;
        string comma = shape.Count == 1 ? "," : "";
        string text = $"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({string.Join(", ", shape)}{comma}), }}";
        // The data begins at a multiple of 64, and the header ends with a line break, as the format asks for.
        int length = (((Preamble + text.Length) / Alignment) + 1) * Alignment;
        byte[] header = new byte[length];
        header.AsSpan().Fill((byte)' ');
        ReadOnlySpan<byte> start = [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', 1, 0];
        start.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(start.Length), (ushort)(length - Preamble));
        Encoding.ASCII.GetBytes(text, header.AsSpan(Preamble));
        header[^1] = (byte)'\n';
        return header;
    }
}
