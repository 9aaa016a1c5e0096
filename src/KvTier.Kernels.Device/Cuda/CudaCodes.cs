using System.Globalization;
using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device.Cuda;

/// <summary>Constants of the CUDA driver API, from its headers.</summary>
internal static class CudaCodes
{
    public const int Success = 0;
    public const int NotReady = 600;
    public const int MultiprocessorCount = 16;
    public const int ComputeCapabilityMajor = 75;
    public const int ComputeCapabilityMinor = 76;

    /// <summary>A stream that does not wait for the default stream of other users of the context.</summary>
    public const uint StreamNonBlocking = 1;

    /// <summary>Events that tell no time are cheaper.</summary>
    public const uint EventDisableTiming = 2;

    /// <summary>What a number that CUDA answers with is called.</summary>
    public static unsafe string Name(CudaApi api, int code)
    {
        byte* name = null;
        return api.GetErrorName(code, &name) == Success && name != null
            ? Marshal.PtrToStringUTF8((nint)name) ?? ""
            : code.ToString(CultureInfo.InvariantCulture);
    }
}
