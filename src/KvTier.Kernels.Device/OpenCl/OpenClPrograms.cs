using System.Text;

namespace KvTier.Kernels.Device.OpenCl;

/// <summary>
/// The programs and kernels of one context, each built when it is first asked for. Its caller lets one thread in at a time.
/// </summary>
internal sealed unsafe class OpenClPrograms(OpenClApi api, nint context, nint device) : IDisposable
{
    /// <summary>A product followed by a sum may be fused, as CUDA does by default.</summary>
    private static readonly byte[] Options = "-cl-std=CL1.2 -cl-mad-enable\0"u8.ToArray();

    private readonly Dictionary<(string File, Dtype Dtype), nint> programs = [];
    private readonly Dictionary<(DeviceKernel Kernel, Dtype Dtype), nint> kernels = [];

    /// <summary>Programs and kernels held.</summary>
    public int Count => programs.Count + kernels.Count;

    /// <summary>The kernel, built if need be.</summary>
    public Result<nint> Get(DeviceKernel kernel, Dtype dtype)
    {
        (string file, string entry, bool perDtype) = KernelSources.Find(kernel);
        if (!perDtype) dtype = Dtype.Raw;
        if (kernels.TryGetValue((kernel, dtype), out nint handle)) return handle;
        if (!GetProgram(file, perDtype, dtype).TryGet(out nint program, out KvError? error)) return error;
        int code;
        fixed (byte* name = Encoding.ASCII.GetBytes(entry + '\0')) handle = api.CreateKernel(program, name, &code);
        if (handle == 0) return DeviceErrors.Call($"clCreateKernel({entry})", OpenClCodes.Name(code));
        kernels.Add((kernel, dtype), handle);
        return handle;
    }

    /// <summary>Releases all.</summary>
    public void Dispose()
    {
        foreach (nint kernel in kernels.Values) _ = api.ReleaseKernel(kernel);
        foreach (nint program in programs.Values) _ = api.ReleaseProgram(program);
        kernels.Clear();
        programs.Clear();
    }

    private Result<nint> GetProgram(string file, bool perDtype, Dtype dtype)
    {
        if (programs.TryGetValue((file, dtype), out nint program)) return program;
        byte[] source = Encoding.UTF8.GetBytes(KernelSources.Compose(DeviceApi.OpenCl, file, perDtype, dtype));
        int code;
        fixed (byte* text = source)
        {
            byte* at = text;
            nuint length = (nuint)source.Length;
            program = api.CreateProgramWithSource(context, 1, &at, &length, &code);
        }

        if (program == 0) return DeviceErrors.Call("clCreateProgramWithSource", OpenClCodes.Name(code));
        nint target = device;
        fixed (byte* options = Options) code = api.BuildProgram(program, 1, &target, options, 0, 0);
        if (code == OpenClCodes.Success)
        {
            programs.Add((file, dtype), program);
            return program;
        }

        KvError error = DeviceErrors.Build(file, $"{OpenClCodes.Name(code)}: {BuildLog(program)}");
        _ = api.ReleaseProgram(program);
        return error;
    }

    private string BuildLog(nint program)
    {
        nuint length = 0;
        if (api.GetProgramBuildInfo(program, device, OpenClCodes.ProgramBuildLog, 0, null, &length) != OpenClCodes.Success) return "";
        byte[] log = new byte[(int)Math.Min(length, 1 << 20)];
        fixed (byte* at = log) _ = api.GetProgramBuildInfo(program, device, OpenClCodes.ProgramBuildLog, (nuint)log.Length, at, null);
        return Encoding.UTF8.GetString(log).TrimEnd('\0');
    }
}
