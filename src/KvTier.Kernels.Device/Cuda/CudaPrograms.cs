using System.Collections.Concurrent;
using System.Text;

namespace KvTier.Kernels.Device.Cuda;

/// <summary>
/// The modules and functions of one context, each built when it is first asked for. Its caller lets one thread in at a time.
/// </summary>
internal sealed unsafe class CudaPrograms(CudaApi api, NvrtcApi compiler, string architecture) : IDisposable
{
    /// <summary>Machine code compiled in this process; every driver of the same architecture takes it from here.</summary>
    private static readonly ConcurrentDictionary<(string Architecture, string File, Dtype Dtype), byte[]> Compiled = new();

    private readonly Dictionary<(string File, Dtype Dtype), nint> modules = [];
    private readonly Dictionary<(DeviceKernel Kernel, Dtype Dtype), nint> functions = [];

    /// <summary>Modules held; functions belong to them.</summary>
    public int Count => modules.Count;

    /// <summary>The function, its module built if need be. The context is current.</summary>
    public Result<nint> Get(DeviceKernel kernel, Dtype dtype)
    {
        (string file, string entry, bool perDtype) = KernelSources.Find(kernel);
        if (!perDtype) dtype = Dtype.Raw;
        if (functions.TryGetValue((kernel, dtype), out nint function)) return function;
        if (!GetModule(file, perDtype, dtype).TryGet(out nint module, out KvError? error)) return error;
        int code;
        fixed (byte* name = Encoding.ASCII.GetBytes(entry + '\0')) code = api.ModuleGetFunction(&function, module, name);
        if (code != CudaCodes.Success) return DeviceErrors.Call($"cuModuleGetFunction({entry})", CudaCodes.Name(api, code));
        functions.Add((kernel, dtype), function);
        return function;
    }

    /// <summary>Unloads all. The context is current.</summary>
    public void Dispose()
    {
        foreach (nint module in modules.Values) _ = api.ModuleUnload(module);
        modules.Clear();
        functions.Clear();
    }

    private Result<nint> GetModule(string file, bool perDtype, Dtype dtype)
    {
        if (modules.TryGetValue((file, dtype), out nint module)) return module;
        if (!Compiled.TryGetValue((architecture, file, dtype), out byte[]? cubin))
        {
            string source = KernelSources.Compose(DeviceApi.Cuda, file, perDtype, dtype);
            if (!new NvrtcCompiler(compiler, architecture).Compile(file, source).TryGet(out cubin, out KvError? error)) return error;
            Compiled.TryAdd((architecture, file, dtype), cubin);
        }

        int code;
        fixed (byte* image = cubin) code = api.ModuleLoadData(&module, image);
        if (code != CudaCodes.Success) return DeviceErrors.Call($"cuModuleLoadData({file})", CudaCodes.Name(api, code));
        modules.Add((file, dtype), module);
        return module;
    }
}
