namespace KvTier.Silo;

/// <content>The options of the device tier.</content>
public static partial class SiloOptionTable
{
    private static IEnumerable<SiloOption> DeviceOptionList()
    {
        yield return OneOf("device.driver", DeviceSettings.Drivers,
            "Device tier: auto takes a GPU if there is one, opencl also a CPU (PoCL); with opencl and cuda no start without a device.",
            o => o.Device.Driver, (o, v) => o with { Device = o.Device with { Driver = v } });
        yield return Bytes("device.bytes", 2L << 20, 1L << 44, "Device memory taken at start, scratch included.",
            o => o.Device.Bytes, (o, v) => o with { Device = o.Device with { Bytes = v } });
        yield return Bytes("device.scratchBytes", 64L << 10, 1L << 30, "Part of it for queries and results of the request that runs.",
            o => o.Device.ScratchBytes, (o, v) => o with { Device = o.Device with { ScratchBytes = (int)v } });
        yield return Number("device.timeoutMs", 1, 600_000, "Longest that work may take before the device counts as failed.",
            o => o.Device.TimeoutMs, (o, v) => o with { Device = o.Device with { TimeoutMs = (int)v } });
    }
}
