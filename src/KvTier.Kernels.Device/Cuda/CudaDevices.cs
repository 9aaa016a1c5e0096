using System.Globalization;
using System.Text;

namespace KvTier.Kernels.Device.Cuda;

/// <summary>Finds a CUDA device.</summary>
internal static unsafe class CudaDevices
{
    /// <summary>Takes device 0.</summary>
    /// <param name="api">The library.</param>
    /// <param name="reason">Why there is none.</param>
    /// <returns>The device; -1 for none.</returns>
    public static int Find(CudaApi api, out string reason)
    {
        reason = "";
        int code = api.Init(0);
        int count = 0;
        if (code == CudaCodes.Success) code = api.DeviceGetCount(&count);
        int device = -1;
        if (code == CudaCodes.Success && count > 0) code = api.DeviceGet(&device, 0);
        if (code != CudaCodes.Success) reason = $"cuInit or cuDeviceGet: {CudaCodes.Name(api, code)}";
        else if (count == 0) reason = "libcuda.so.1 sees no device";
        return reason.Length == 0 ? device : -1;
    }

    /// <summary>Facts about a device.</summary>
    public static DeviceInfo Describe(CudaApi api, int device)
    {
        byte* name = stackalloc byte[256];
        name[0] = 0;
        _ = api.DeviceGetName(name, 256, device);
        nuint memory = 0;
        _ = api.DeviceTotalMem(&memory, device);
        int version = 0;
        _ = api.DriverGetVersion(&version);
        int length = new ReadOnlySpan<byte>(name, 256).IndexOf((byte)0);
        return new DeviceInfo(
            DeviceApi.Cuda,
            Encoding.UTF8.GetString(name, Math.Max(length, 0)),
            string.Create(CultureInfo.InvariantCulture, $"CUDA {version / 1000}.{version % 1000 / 10}"),
            true,
            Attribute(api, device, CudaCodes.MultiprocessorCount),
            (long)memory,
            (long)memory);
    }

    /// <summary>The architecture to compile for, such as <c>sm_90</c>.</summary>
    public static string Architecture(CudaApi api, int device) => string.Create(
        CultureInfo.InvariantCulture,
        $"sm_{Attribute(api, device, CudaCodes.ComputeCapabilityMajor)}{Attribute(api, device, CudaCodes.ComputeCapabilityMinor)}");

    private static int Attribute(CudaApi api, int device, int attribute)
    {
        int value = 0;
        _ = api.DeviceGetAttribute(&value, attribute, device);
        return value;
    }
}
