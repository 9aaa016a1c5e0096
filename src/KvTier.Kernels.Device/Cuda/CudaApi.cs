namespace KvTier.Kernels.Device.Cuda;

/// <summary>The functions of <c>libcuda.so.1</c>, the CUDA driver API, that the driver calls. Resolved at run time.</summary>
internal sealed unsafe class CudaApi
{
    private static readonly Lazy<(CudaApi? Api, string Reason)> Loaded = new(Load);

    public readonly delegate* unmanaged<uint, int> Init;
    public readonly delegate* unmanaged<int*, int> DriverGetVersion;
    public readonly delegate* unmanaged<int*, int> DeviceGetCount;
    public readonly delegate* unmanaged<int*, int, int> DeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName;
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute;
    public readonly delegate* unmanaged<nuint*, int, int> DeviceTotalMem;
    public readonly delegate* unmanaged<nint*, int, int> DevicePrimaryCtxRetain;
    public readonly delegate* unmanaged<int, int> DevicePrimaryCtxRelease;
    public readonly delegate* unmanaged<nint, int> CtxSetCurrent;
    public readonly delegate* unmanaged<ulong*, nuint, int> MemAlloc;
    public readonly delegate* unmanaged<ulong, int> MemFree;
    public readonly delegate* unmanaged<ulong, void*, nuint, nint, int> MemcpyHtoDAsync;
    public readonly delegate* unmanaged<void*, ulong, nuint, nint, int> MemcpyDtoHAsync;
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate;
    public readonly delegate* unmanaged<nint, int> StreamDestroy;
    public readonly delegate* unmanaged<nint, int> StreamSynchronize;
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate;
    public readonly delegate* unmanaged<nint, nint, int> EventRecord;
    public readonly delegate* unmanaged<nint, int> EventQuery;
    public readonly delegate* unmanaged<nint, int> EventDestroy;
    public readonly delegate* unmanaged<nint*, void*, int> ModuleLoadData;
    public readonly delegate* unmanaged<nint, int> ModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction;
    public readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> LaunchKernel;
    public readonly delegate* unmanaged<int, byte**, int> GetErrorName;

    /// <summary>The names with a version are those that the headers give to these calls since CUDA 4.</summary>
    private static readonly string[] Names =
    [
        "cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
        "cuDeviceTotalMem_v2", "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuMemAlloc_v2",
        "cuMemFree_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuStreamCreate", "cuStreamDestroy_v2", "cuEventCreate",
        "cuEventRecord", "cuEventQuery", "cuEventDestroy_v2", "cuModuleLoadData", "cuModuleUnload", "cuModuleGetFunction",
        "cuLaunchKernel", "cuGetErrorName", "cuStreamSynchronize",
    ];

    private CudaApi(ReadOnlySpan<nint> at)
    {
        Init = (delegate* unmanaged<uint, int>)at[0];
        DriverGetVersion = (delegate* unmanaged<int*, int>)at[1];
        DeviceGetCount = (delegate* unmanaged<int*, int>)at[2];
        DeviceGet = (delegate* unmanaged<int*, int, int>)at[3];
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)at[4];
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)at[5];
        DeviceTotalMem = (delegate* unmanaged<nuint*, int, int>)at[6];
        DevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)at[7];
        DevicePrimaryCtxRelease = (delegate* unmanaged<int, int>)at[8];
        CtxSetCurrent = (delegate* unmanaged<nint, int>)at[9];
        MemAlloc = (delegate* unmanaged<ulong*, nuint, int>)at[10];
        MemFree = (delegate* unmanaged<ulong, int>)at[11];
        MemcpyHtoDAsync = (delegate* unmanaged<ulong, void*, nuint, nint, int>)at[12];
        MemcpyDtoHAsync = (delegate* unmanaged<void*, ulong, nuint, nint, int>)at[13];
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)at[14];
        StreamDestroy = (delegate* unmanaged<nint, int>)at[15];
        EventCreate = (delegate* unmanaged<nint*, uint, int>)at[16];
        EventRecord = (delegate* unmanaged<nint, nint, int>)at[17];
        EventQuery = (delegate* unmanaged<nint, int>)at[18];
        EventDestroy = (delegate* unmanaged<nint, int>)at[19];
        ModuleLoadData = (delegate* unmanaged<nint*, void*, int>)at[20];
        ModuleUnload = (delegate* unmanaged<nint, int>)at[21];
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)at[22];
        LaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)at[23];
        StreamSynchronize = (delegate* unmanaged<nint, int>)at[25];
        GetErrorName = (delegate* unmanaged<int, byte**, int>)at[24];
    }

    /// <summary>The library, loaded once a process.</summary>
    /// <param name="reason">Why there is none.</param>
    public static CudaApi? TryGet(out string reason)
    {
        reason = Loaded.Value.Reason;
        return Loaded.Value.Api;
    }

    private static (CudaApi? Api, string Reason) Load()
    {
        nint library = NativeLibraryLoader.TryLoad(["libcuda.so.1", "libcuda.so"]);
        if (library == 0) return (null, "libcuda.so.1 is not there");
        Span<nint> at = stackalloc nint[Names.Length];
        string? missing = NativeLibraryLoader.FindAll(library, Names, at);
        return missing is null ? (new CudaApi(at), "") : (null, $"libcuda.so.1 has no {missing}");
    }
}
