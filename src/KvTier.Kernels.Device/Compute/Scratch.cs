using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvTier.Memory;

namespace KvTier.Kernels.Device;

/// <summary>
/// The working memory of the request that runs: a buffer on the device and as much on the host, laid out alike, so that all inputs go
/// over in one copy and all results come back in one. Serves one request at a time.
/// </summary>
internal sealed unsafe class Scratch : IDisposable
{
    /// <summary>Alignment of every piece.</summary>
    private const int Alignment = 256;

    private readonly NativeArray<byte> host;
    private long used;

    public Scratch(DeviceBuffer buffer)
    {
        Buffer = buffer;
        host = new NativeArray<byte>(buffer.Bytes);
    }

    /// <summary>The buffer on the device.</summary>
    public DeviceBuffer Buffer { get; }

    /// <summary>Bytes handed out since <see cref="Reset"/>; more than there are when a request asks for too much.</summary>
    public long UsedBytes => used;

    /// <summary>Null when all that was handed out fits, else the error.</summary>
    public KvError? Overflow => used <= Buffer.Bytes ? null : KvError.LimitExceeded("device.scratchBytes", used, Buffer.Bytes);

    /// <summary>Begins a request.</summary>
    public void Reset() => used = 0;

    /// <summary>Hands out a piece.</summary>
    /// <returns>Its offset; it may lie beyond the end, which <see cref="Overflow"/> tells.</returns>
    public long Take<T>(long count)
        where T : unmanaged
    {
        long at = used;
        used += ((count * sizeof(T)) + Alignment - 1) / Alignment * Alignment;
        return at;
    }

    /// <summary>A piece on the host.</summary>
    public Span<T> Host<T>(long at, int count)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(host.AsSpan(at, count * sizeof(T)));

    /// <summary>The address of a piece on the host.</summary>
    public nint Address(long at) => (nint)Unsafe.AsPointer(ref host[at]);

    /// <summary>Frees the memory on the host; the buffer is the driver's.</summary>
    public void Dispose() => host.Dispose();
}
