namespace KvTier.Kernels.Device.Cuda;

/// <summary>The functions of NVRTC, the run-time compiler of CUDA C, that the driver calls.</summary>
internal sealed unsafe class NvrtcApi
{
    private static readonly Lazy<(NvrtcApi? Api, string Reason)> Loaded = new(Load);

    public readonly delegate* unmanaged<nint*, byte*, byte*, int, nint, nint, int> CreateProgram;
    public readonly delegate* unmanaged<nint*, int> DestroyProgram;
    public readonly delegate* unmanaged<nint, int, byte**, int> CompileProgram;
    public readonly delegate* unmanaged<nint, nuint*, int> GetCubinSize;
    public readonly delegate* unmanaged<nint, byte*, int> GetCubin;
    public readonly delegate* unmanaged<nint, nuint*, int> GetProgramLogSize;
    public readonly delegate* unmanaged<nint, byte*, int> GetProgramLog;

    private static readonly string[] Names =
    [
        "nvrtcCreateProgram", "nvrtcDestroyProgram", "nvrtcCompileProgram", "nvrtcGetCUBINSize", "nvrtcGetCUBIN",
        "nvrtcGetProgramLogSize", "nvrtcGetProgramLog",
    ];

    private NvrtcApi(ReadOnlySpan<nint> at)
    {
        CreateProgram = (delegate* unmanaged<nint*, byte*, byte*, int, nint, nint, int>)at[0];
        DestroyProgram = (delegate* unmanaged<nint*, int>)at[1];
        CompileProgram = (delegate* unmanaged<nint, int, byte**, int>)at[2];
        GetCubinSize = (delegate* unmanaged<nint, nuint*, int>)at[3];
        GetCubin = (delegate* unmanaged<nint, byte*, int>)at[4];
        GetProgramLogSize = (delegate* unmanaged<nint, nuint*, int>)at[5];
        GetProgramLog = (delegate* unmanaged<nint, byte*, int>)at[6];
    }

    /// <summary>The library, loaded once a process.</summary>
    /// <param name="reason">Why there is none.</param>
    public static NvrtcApi? TryGet(out string reason)
    {
        reason = Loaded.Value.Reason;
        return Loaded.Value.Api;
    }

    /// <summary>
    /// Where it may be, in this order: the name for development, the sonames from CUDA 11.2 on (whose versions 11 share one), and the
    /// folder of a toolkit that no linker path names.
    /// </summary>
    internal static IEnumerable<string> Candidates()
    {
        string[] names = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"];
        foreach (string name in names) yield return name;
        foreach (string folder in (string[])["/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib", "/opt/cuda/lib64"])
        {
            foreach (string name in names) yield return $"{folder}/{name}";
        }
    }

    private static (NvrtcApi? Api, string Reason) Load()
    {
        nint library = NativeLibraryLoader.TryLoad(Candidates());
        if (library == 0) return (null, "libnvrtc.so is not there (tried .13, .12, .11.2 and /usr/local/cuda)");
        Span<nint> at = stackalloc nint[Names.Length];
        string? missing = NativeLibraryLoader.FindAll(library, Names, at);
        return missing is null ? (new NvrtcApi(at), "") : (null, $"libnvrtc.so has no {missing}");
    }
}
