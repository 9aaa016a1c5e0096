using System.Collections.Concurrent;
using System.Text;

namespace KvTier.Kernels.Device.OpenCl;

/// <summary>
/// The programs and kernels of one context, each built when it is first asked for. Its caller lets one thread in at a time.
/// </summary>
internal sealed unsafe class OpenClPrograms(OpenClApi api, nint context, nint device, DeviceInfo info) : IDisposable
{
    /// <summary>A product followed by a sum may be fused, as CUDA does by default.</summary>
    private static readonly byte[] Options = "-cl-std=CL1.2 -cl-mad-enable\0"u8.ToArray();

    /// <summary>What the compiler made in this process; every driver of the same device and driver version takes it from here.</summary>
    private static readonly ConcurrentDictionary<(DeviceInfo Device, string File, Dtype Dtype), byte[]> Built = new();

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
        if (Built.TryGetValue((info, file, dtype), out byte[]? binary)) program = Load(binary);
        if (program == 0)
        {
            if (!Compile(file, KernelSources.Compose(DeviceApi.OpenCl, file, perDtype, dtype)).TryGet(out program, out KvError? error))
                return error;
            if (Save(program) is { } made) Built.TryAdd((info, file, dtype), made);
        }

        programs.Add((file, dtype), program);
        return program;
    }

    private Result<nint> Compile(string file, string source)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(source);
        int code;
        nint program;
        fixed (byte* text = bytes)
        {
            byte* at = text;
            nuint length = (nuint)bytes.Length;
            program = api.CreateProgramWithSource(context, 1, &at, &length, &code);
        }

        if (program == 0) return DeviceErrors.Call("clCreateProgramWithSource", OpenClCodes.Name(code));
        code = Build(program);
        if (code == OpenClCodes.Success) return program;
        KvError error = DeviceErrors.Build(file, $"{OpenClCodes.Name(code)}: {BuildLog(program)}");
        _ = api.ReleaseProgram(program);
        return error;
    }

    private int Build(nint program)
    {
        nint target = device;
        fixed (byte* options = Options) return api.BuildProgram(program, 1, &target, options, 0, 0);
    }

    /// <returns>0 when the driver does not take what it once gave; it is compiled again then.</returns>
    private nint Load(byte[] binary)
    {
        nint target = device;
        nuint length = (nuint)binary.Length;
        int code;
        int status;
        nint program;
        fixed (byte* bytes = binary)
        {
            byte* at = bytes;
            program = api.CreateProgramWithBinary(context, 1, &target, &length, &at, &status, &code);
        }

        if (program == 0 || Build(program) == OpenClCodes.Success) return program;
        _ = api.ReleaseProgram(program);
        return 0;
    }

    private byte[]? Save(nint program)
    {
        nuint length = 0;
        int code = api.GetProgramInfo(program, OpenClCodes.ProgramBinarySizes, (nuint)sizeof(nuint), &length, null);
        if (code != OpenClCodes.Success || length is 0 or > 1 << 28) return null;
        byte[] binary = new byte[(int)length];
        fixed (byte* bytes = binary)
        {
            byte* at = bytes;
            code = api.GetProgramInfo(program, OpenClCodes.ProgramBinaries, (nuint)sizeof(byte*), &at, null);
        }

        return code == OpenClCodes.Success ? binary : null;
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
