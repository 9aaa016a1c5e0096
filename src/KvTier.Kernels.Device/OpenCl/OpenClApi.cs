using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device.OpenCl;

/// <summary>
/// The functions of <c>libOpenCL.so.1</c> that the driver calls, all of OpenCL 1.2. Resolved at run time, so that a machine without the
/// library gets a message and not a crash.
/// </summary>
internal sealed unsafe class OpenClApi
{
    private static readonly Lazy<(OpenClApi? Api, string Reason)> Loaded = new(Load);

    public readonly delegate* unmanaged<uint, nint*, uint*, int> GetPlatformIDs;
    public readonly delegate* unmanaged<nint, uint, nuint, void*, nuint*, int> GetPlatformInfo;
    public readonly delegate* unmanaged<nint, ulong, uint, nint*, uint*, int> GetDeviceIDs;
    public readonly delegate* unmanaged<nint, uint, nuint, void*, nuint*, int> GetDeviceInfo;
    public readonly delegate* unmanaged<nint*, uint, nint*, nint, nint, int*, nint> CreateContext;
    public readonly delegate* unmanaged<nint, int> ReleaseContext;
    public readonly delegate* unmanaged<nint, nint, ulong, int*, nint> CreateCommandQueue;
    public readonly delegate* unmanaged<nint, int> ReleaseCommandQueue;
    public readonly delegate* unmanaged<nint, ulong, nuint, void*, int*, nint> CreateBuffer;
    public readonly delegate* unmanaged<nint, int> ReleaseMemObject;
    public readonly delegate* unmanaged<nint, uint, byte**, nuint*, int*, nint> CreateProgramWithSource;
    public readonly delegate* unmanaged<nint, uint, nint*, byte*, nint, nint, int> BuildProgram;
    public readonly delegate* unmanaged<nint, nint, uint, nuint, void*, nuint*, int> GetProgramBuildInfo;
    public readonly delegate* unmanaged<nint, int> ReleaseProgram;
    public readonly delegate* unmanaged<nint, byte*, int*, nint> CreateKernel;
    public readonly delegate* unmanaged<nint, int> ReleaseKernel;
    public readonly delegate* unmanaged<nint, uint, nuint, void*, int> SetKernelArg;
    public readonly delegate* unmanaged<nint, nint, uint, nuint*, nuint*, nuint*, uint, nint*, nint*, int> EnqueueNDRangeKernel;
    public readonly delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int> EnqueueReadBuffer;
    public readonly delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int> EnqueueWriteBuffer;
    public readonly delegate* unmanaged<nint, uint, nuint, void*, nuint*, int> GetEventInfo;
    public readonly delegate* unmanaged<nint, int> ReleaseEvent;
    public readonly delegate* unmanaged<nint, int> Flush;
    public readonly delegate* unmanaged<nint, int> Finish;
    public readonly delegate* unmanaged<nint, uint, nuint, void*, nuint*, int> GetProgramInfo;
    public readonly delegate* unmanaged<nint, uint, nint*, nuint*, byte**, int*, int*, nint> CreateProgramWithBinary;

    private static readonly string[] Names =
    [
        "clGetPlatformIDs", "clGetPlatformInfo", "clGetDeviceIDs", "clGetDeviceInfo", "clCreateContext", "clReleaseContext",
        "clCreateCommandQueue", "clReleaseCommandQueue", "clCreateBuffer", "clReleaseMemObject", "clCreateProgramWithSource",
        "clBuildProgram", "clGetProgramBuildInfo", "clReleaseProgram", "clCreateKernel", "clReleaseKernel", "clSetKernelArg",
        "clEnqueueNDRangeKernel", "clEnqueueReadBuffer", "clEnqueueWriteBuffer", "clGetEventInfo", "clReleaseEvent", "clFlush",
        "clGetProgramInfo", "clCreateProgramWithBinary", "clFinish",
    ];

    private OpenClApi(ReadOnlySpan<nint> at)
    {
        GetPlatformIDs = (delegate* unmanaged<uint, nint*, uint*, int>)at[0];
        GetPlatformInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)at[1];
        GetDeviceIDs = (delegate* unmanaged<nint, ulong, uint, nint*, uint*, int>)at[2];
        GetDeviceInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)at[3];
        CreateContext = (delegate* unmanaged<nint*, uint, nint*, nint, nint, int*, nint>)at[4];
        ReleaseContext = (delegate* unmanaged<nint, int>)at[5];
        CreateCommandQueue = (delegate* unmanaged<nint, nint, ulong, int*, nint>)at[6];
        ReleaseCommandQueue = (delegate* unmanaged<nint, int>)at[7];
        CreateBuffer = (delegate* unmanaged<nint, ulong, nuint, void*, int*, nint>)at[8];
        ReleaseMemObject = (delegate* unmanaged<nint, int>)at[9];
        CreateProgramWithSource = (delegate* unmanaged<nint, uint, byte**, nuint*, int*, nint>)at[10];
        BuildProgram = (delegate* unmanaged<nint, uint, nint*, byte*, nint, nint, int>)at[11];
        GetProgramBuildInfo = (delegate* unmanaged<nint, nint, uint, nuint, void*, nuint*, int>)at[12];
        ReleaseProgram = (delegate* unmanaged<nint, int>)at[13];
        CreateKernel = (delegate* unmanaged<nint, byte*, int*, nint>)at[14];
        ReleaseKernel = (delegate* unmanaged<nint, int>)at[15];
        SetKernelArg = (delegate* unmanaged<nint, uint, nuint, void*, int>)at[16];
        EnqueueNDRangeKernel = (delegate* unmanaged<nint, nint, uint, nuint*, nuint*, nuint*, uint, nint*, nint*, int>)at[17];
        EnqueueReadBuffer = (delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int>)at[18];
        EnqueueWriteBuffer = (delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int>)at[19];
        GetEventInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)at[20];
        ReleaseEvent = (delegate* unmanaged<nint, int>)at[21];
        Flush = (delegate* unmanaged<nint, int>)at[22];
        GetProgramInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)at[23];
        Finish = (delegate* unmanaged<nint, int>)at[25];
        CreateProgramWithBinary = (delegate* unmanaged<nint, uint, nint*, nuint*, byte**, int*, int*, nint>)at[24];
    }

    /// <summary>The library, loaded once a process.</summary>
    /// <param name="reason">Why there is none.</param>
    public static OpenClApi? TryGet(out string reason)
    {
        reason = Loaded.Value.Reason;
        return Loaded.Value.Api;
    }

    private static (OpenClApi? Api, string Reason) Load()
    {
        nint library = NativeLibraryLoader.TryLoad(["libOpenCL.so.1", "libOpenCL.so"]);
        if (library == 0) return (null, "libOpenCL.so.1 is not there");
        Span<nint> at = stackalloc nint[Names.Length];
        string? missing = NativeLibraryLoader.FindAll(library, Names, at);
        return missing is null ? (new OpenClApi(at), "") : (null, $"libOpenCL.so.1 has no {missing}");
    }
}
