namespace KvTier.Kernels.Device;

/// <summary>Which library drives a device.</summary>
public enum DeviceApi : byte
{
    /// <summary>OpenCL 1.2 or newer.</summary>
    OpenCl,

    /// <summary>The CUDA driver API with NVRTC.</summary>
    Cuda,
}

/// <summary>Facts about a device.</summary>
/// <param name="Api">The library that drives it.</param>
/// <param name="Name">Its name, as the driver gives it.</param>
/// <param name="DriverVersion">Version of the driver.</param>
/// <param name="IsGpu">False for a CPU that runs OpenCL.</param>
/// <param name="ComputeUnits">Groups that run side by side, at the least.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="BufferBytesMax">Largest single buffer.</param>
public sealed record DeviceInfo(
    DeviceApi Api, string Name, string DriverVersion, bool IsGpu, int ComputeUnits, long MemoryBytes, long BufferBytesMax);
