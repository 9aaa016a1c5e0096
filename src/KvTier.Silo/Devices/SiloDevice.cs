using KvTier.Kernels.Device;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Devices;

/// <summary>Chooses and opens the device of a silo, and says so in the log.</summary>
internal static class SiloDevice
{
    /// <summary>Opens the device that the options ask for.</summary>
    /// <param name="settings">Which, and how much of it.</param>
    /// <param name="open">How it is opened.</param>
    /// <param name="logger">Hears what was taken, or why none.</param>
    /// <param name="device">The device; null for none.</param>
    /// <returns>Null, or why there is none though one was demanded; it names the option.</returns>
    public static KvError? Open(
        DeviceSettings settings, Func<DeviceOptions, Result<RecallDevice>> open, ILogger logger, out RecallDevice? device)
    {
        device = null;
        if (!settings.IsWanted) return null;
        if (open(settings.ToDeviceOptions()).TryGet(out device, out KvError? error))
        {
            DeviceInfo info = device.Info;
            logger.DeviceTaken(info.Name, ApiName(info.Api), info.DriverVersion, device.BudgetBytes, device.CapacityBytes);
            return null;
        }

        if (settings.IsDemanded) return InOptionsWords(error);
        logger.NoDevice(error.Message);
        return null;
    }

    /// <summary>A driver as the options name it.</summary>
    public static string ApiName(DeviceApi api) => api == DeviceApi.Cuda ? "cuda" : "opencl";

    /// <summary>The device's own options have other names than the silo's.</summary>
    private static KvError InOptionsWords(KvError error) => error.Field switch
    {
        "device.budgetBytes" => error with { Field = "device.bytes" },
        "device.operationTimeout" => error with { Field = "device.timeoutMs" },
        _ => error,
    };
}
