using System.Text;

namespace KvTier.Kernels.Device.OpenCl;

/// <summary>Finds an OpenCL device.</summary>
internal static unsafe class OpenClDevices
{
    /// <summary>Takes the first GPU (or accelerator) of any platform, else, when allowed, the first CPU.</summary>
    /// <param name="api">The library.</param>
    /// <param name="allowCpu">True to take a CPU when there is no GPU.</param>
    /// <param name="reason">What was seen, when none was taken.</param>
    /// <returns>The device's id; 0 for none.</returns>
    public static nint Find(OpenClApi api, bool allowCpu, out string reason)
    {
        nint* platforms = stackalloc nint[16];
        uint count = 0;
        int code = api.GetPlatformIDs(16, platforms, &count);
        if (code != OpenClCodes.Success || count == 0)
        {
            reason = "no OpenCL platform is installed";
            return 0;
        }

        count = Math.Min(count, 16);
        nint gpu = FirstOf(api, platforms, count, OpenClCodes.DeviceTypeGpu | OpenClCodes.DeviceTypeAccelerator);
        nint cpu = gpu == 0 ? FirstOf(api, platforms, count, OpenClCodes.DeviceTypeCpu) : 0;
        reason = cpu == 0
            ? $"no GPU among {count} OpenCL platforms"
            : $"no GPU among {count} OpenCL platforms, and the CPU device {Text(api, cpu, OpenClCodes.DeviceName)} is not allowed";
        return gpu != 0 ? gpu : allowCpu ? cpu : 0;
    }

    /// <summary>Facts about a device.</summary>
    public static DeviceInfo Describe(OpenClApi api, nint device)
    {
        ulong type = Number(api, device, 0x1000);
        return new DeviceInfo(
            DeviceApi.OpenCl,
            Text(api, device, OpenClCodes.DeviceName),
            Text(api, device, OpenClCodes.DriverVersion),
            (type & OpenClCodes.DeviceTypeCpu) == 0,
            (int)(uint)Number(api, device, OpenClCodes.DeviceMaxComputeUnits),
            (long)Number(api, device, OpenClCodes.DeviceGlobalMemSize),
            (long)Number(api, device, OpenClCodes.DeviceMaxMemAllocSize));
    }

    private static nint FirstOf(OpenClApi api, nint* platforms, uint count, ulong type)
    {
        for (uint i = 0; i < count; i++)
        {
            nint device = 0;
            uint found = 0;
            if (api.GetDeviceIDs(platforms[i], type, 1, &device, &found) == OpenClCodes.Success && found > 0) return device;
        }

        return 0;
    }

    private static ulong Number(OpenClApi api, nint device, uint fact)
    {
        ulong value = 0;
        _ = api.GetDeviceInfo(device, fact, sizeof(ulong), &value, null);
        return value;
    }

    private static string Text(OpenClApi api, nint device, uint fact)
    {
        byte* text = stackalloc byte[256];
        nuint length = 0;
        if (api.GetDeviceInfo(device, fact, 256, text, &length) != OpenClCodes.Success || length is 0 or > 256) return "?";
        return Encoding.UTF8.GetString(text, (int)length).TrimEnd('\0').Trim();
    }
}
