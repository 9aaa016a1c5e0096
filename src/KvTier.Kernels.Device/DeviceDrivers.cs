using KvTier.Kernels.Device.Cuda;
using KvTier.Kernels.Device.OpenCl;

namespace KvTier.Kernels.Device;

/// <summary>Opens the driver that the options ask for.</summary>
public static class DeviceDrivers
{
    /// <summary>Opens a driver.</summary>
    /// <returns>The driver; <see cref="ErrorCode.Unavailable"/> with everything that was tried when there is none;
    /// <see cref="ErrorCode.Unsupported"/> when the options say none.</returns>
    public static Result<IDeviceDriver> Open(DeviceChoice choice, bool allowCpu)
    {
        if (choice == DeviceChoice.None) return new KvError(ErrorCode.Unsupported, "device.driver", "none", "auto, opencl or cuda");
        var tried = new List<string>();
        if (choice is DeviceChoice.Auto or DeviceChoice.Cuda)
        {
            Result<IDeviceDriver> cuda = CudaDriver.Open();
            if (cuda.IsOk) return cuda;
            tried.Add(Describe(cuda.Error!));
        }

        if (choice is DeviceChoice.Auto or DeviceChoice.OpenCl)
        {
            Result<IDeviceDriver> openCl = OpenClDriver.Open(allowCpu);
            if (openCl.IsOk) return openCl;
            tried.Add(Describe(openCl.Error!));
        }

        string wanted = choice.ToString().ToLowerInvariant();
        return new KvError(ErrorCode.Unavailable, "device.driver", wanted, $"a device; tried {string.Join("; ", tried)}");
    }

    private static string Describe(KvError error) => $"{error.Field}: {error.Value}";
}
