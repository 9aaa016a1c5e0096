namespace KvTier.Kernels.Device;

/// <summary>The kernels of this project.</summary>
public enum DeviceKernel : byte
{
    /// <summary>Scores of rows against queries; per dtype.</summary>
    Score,

    /// <summary>Partial attention of one split; per dtype.</summary>
    Attend,

    /// <summary>Reduction of scores over queries.</summary>
    Reduce,

    /// <summary>The K best of lists of scores.</summary>
    TopK,

    /// <summary>Merge of the parts of splits.</summary>
    Merge,
}

/// <summary>What an argument of a kernel is.</summary>
public enum KernelArgumentKind : byte
{
    /// <summary>A buffer, passed as the address of its first byte.</summary>
    Buffer,

    /// <summary>A 32-bit integer.</summary>
    Int32,

    /// <summary>A 64-bit integer.</summary>
    Int64,

    /// <summary>An fp32 number.</summary>
    Float32,
}

/// <summary>An argument of a kernel: 4 or 8 bytes.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Bits">Its bits, in the low bytes.</param>
public readonly record struct KernelArgument(KernelArgumentKind Kind, long Bits)
{
    /// <summary>Bytes that the kernel takes.</summary>
    public int SizeBytes => Kind is KernelArgumentKind.Int32 or KernelArgumentKind.Float32 ? 4 : 8;

    /// <summary>A buffer.</summary>
    public static implicit operator KernelArgument(DeviceBuffer buffer) => new(KernelArgumentKind.Buffer, buffer.Handle);

    /// <summary>A 32-bit integer.</summary>
    public static implicit operator KernelArgument(int number) => new(KernelArgumentKind.Int32, (uint)number);

    /// <summary>A 64-bit integer.</summary>
    public static implicit operator KernelArgument(long number) => new(KernelArgumentKind.Int64, number);

    /// <summary>An fp32 number.</summary>
    public static implicit operator KernelArgument(float number) =>
        new(KernelArgumentKind.Float32, BitConverter.SingleToUInt32Bits(number));
}

/// <summary>One launch of a kernel.</summary>
public readonly ref struct KernelLaunch
{
    /// <summary>Most arguments of a kernel.</summary>
    public const int ArgumentsMax = 12;

    /// <summary>The kernel.</summary>
    public required DeviceKernel Kernel { get; init; }

    /// <summary>The dtype that the kernel is built for; <see cref="Dtype.Raw"/> for kernels that have none.</summary>
    public required Dtype Dtype { get; init; }

    /// <summary>Work groups, at least 1.</summary>
    public required int Groups { get; init; }

    /// <summary>Work items of a group; the kernel's sources know the number.</summary>
    public required int GroupSize { get; init; }

    /// <summary>Bytes of local memory that the kernel asks for at launch; 0 when it has no such parameter.</summary>
    public int LocalBytes { get; init; }

    /// <summary>Arguments in order, at most <see cref="ArgumentsMax"/>.</summary>
    public required ReadOnlySpan<KernelArgument> Arguments { get; init; }

    /// <summary>True to get a token.</summary>
    public bool WantsToken { get; init; }
}
