using System.Buffers.Binary;
using System.Text;

namespace KvTier.Cli;

/// <summary>Reads <c>.npy</c> files, versions 1 to 3 of the format: fp16 or fp32, little-endian, C order.</summary>
internal static class NpyReader
{
    private const int PreambleBytes = 8;
    private const int HeaderBytesMax = 1 << 16;
    private static readonly byte[] magic = [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="field">What an error calls it, such as <c>--keys</c>.</param>
    /// <param name="rank">Axes that it must have.</param>
    /// <returns>The array, or which of magic, version, header, dtype, order, rank, shape or length is wrong.</returns>
    public static Result<NpyArray> Read(string path, string field, int rank)
    {
        using FileStream file = File.OpenRead(path);
        if (!ReadHeader(file, field).TryGet(out NpyHeader? header, out KvError? error)) return error;
        if (Check(header, field, rank) is { } wrong) return wrong;
        Dtype dtype = DtypeOf(header.Descr);
        int[] shape = [.. header.Shape.Select(axis => (int)axis)];
        long bytes = NpyArray.CountOf(shape) * dtype.SizeBytes();
        long there = file.Length - file.Position;
        if (there != bytes)
            return KvError.InvalidArgument($"{field}: bytes after the header", there, $"{bytes}, as {NpyArray.TextOf(shape)} has");
        byte[] data = GC.AllocateUninitializedArray<byte>((int)bytes);
        file.ReadExactly(data);
        return new NpyArray(dtype, shape, data);
    }

    private static Result<NpyHeader> ReadHeader(FileStream file, string field)
    {
        Span<byte> preamble = stackalloc byte[PreambleBytes];
        if (file.ReadAtLeast(preamble, PreambleBytes, throwOnEndOfStream: false) < PreambleBytes || !preamble.StartsWith(magic))
            return KvError.InvalidArgument($"{field}: first bytes", "other", "those of a .npy file");
        int version = preamble[magic.Length];
        if (version is < 1 or > 3) return KvError.InvalidArgument($"{field}: version", version, "1 to 3");
        Span<byte> lengthBytes = stackalloc byte[version == 1 ? sizeof(ushort) : sizeof(uint)];
        if (file.ReadAtLeast(lengthBytes, lengthBytes.Length, throwOnEndOfStream: false) < lengthBytes.Length) return Truncated(field);
        long length = version == 1
            ? BinaryPrimitives.ReadUInt16LittleEndian(lengthBytes)
            : BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
        if (length > HeaderBytesMax) return KvError.LimitExceeded($"{field}: header bytes", length, HeaderBytesMax);
        byte[] text = new byte[length];
        if (file.ReadAtLeast(text, text.Length, throwOnEndOfStream: false) < text.Length) return Truncated(field);
        return NpyHeader.Parse(Encoding.UTF8.GetString(text)) is { } header
            ? header
            : KvError.InvalidArgument($"{field}: header", "not readable", "a dictionary with descr, fortran_order and shape");
    }

    private static KvError? Check(NpyHeader header, string field, int rank)
    {
        if (DtypeOf(header.Descr) == Dtype.Raw)
            return KvError.InvalidArgument($"{field}: dtype", header.Descr, "<f2 or <f4 (fp16 or fp32, little-endian)");
        if (header.FortranOrder) return KvError.InvalidArgument($"{field}: order", "Fortran", "C");
        if (header.Shape.Count != rank) return KvError.InvalidArgument($"{field}: rank", header.Shape.Count, $"{rank}");
        long bytes = DtypeOf(header.Descr).SizeBytes();
        for (int axis = 0; axis < rank; axis++)
        {
            if (header.Shape[axis] < 1) return KvError.InvalidArgument($"{field}: shape[{axis}]", header.Shape[axis], "1 or more");
            if (header.Shape[axis] > Array.MaxLength / bytes)
                return KvError.LimitExceeded($"{field}: bytes", $"more than {Array.MaxLength}", Array.MaxLength);
            bytes *= header.Shape[axis];
        }

        return null;
    }

    private static Dtype DtypeOf(string descr) => descr switch
    {
        "<f2" => Dtype.Float16,
        "<f4" => Dtype.Float32,
        _ => Dtype.Raw,
    };

    private static KvError Truncated(string field) => KvError.InvalidArgument($"{field}: header", "cut off", "a whole file");
}
