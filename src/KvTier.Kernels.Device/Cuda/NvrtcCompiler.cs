using System.Globalization;
using System.Text;

namespace KvTier.Kernels.Device.Cuda;

/// <summary>
/// Compiles CUDA C to machine code for one architecture, so that the driver's own compiler need not know this toolkit's PTX.
/// </summary>
internal sealed unsafe class NvrtcCompiler(NvrtcApi api, string architecture)
{
    /// <summary>Compiles one program.</summary>
    /// <param name="file">Its name, for messages.</param>
    /// <param name="source">Its text.</param>
    /// <returns>A cubin, or the compiler's log.</returns>
    public Result<byte[]> Compile(string file, string source)
    {
        nint program = 0;
        int code;
        fixed (byte* text = Encoding.UTF8.GetBytes(source + '\0'))
        fixed (byte* name = Encoding.UTF8.GetBytes(file + '\0'))
            code = api.CreateProgram(&program, text, name, 0, 0, 0);
        if (code != CudaCodes.Success) return Failed("nvrtcCreateProgram", code);
        try
        {
            fixed (byte* option = Encoding.ASCII.GetBytes($"--gpu-architecture={architecture}\0"))
            {
                byte* options = option;
                code = api.CompileProgram(program, 1, &options);
            }

            return code == CudaCodes.Success ? ReadCubin(program) : DeviceErrors.Build(file, $"{architecture}, {code}: {Log(program)}");
        }
        finally
        {
            _ = api.DestroyProgram(&program);
        }
    }

    private static KvError Failed(string call, int code) =>
        DeviceErrors.Call(call, code.ToString(CultureInfo.InvariantCulture));

    private Result<byte[]> ReadCubin(nint program)
    {
        nuint length = 0;
        int code = api.GetCubinSize(program, &length);
        if (code != CudaCodes.Success || length == 0) return Failed("nvrtcGetCUBINSize", code);
        byte[] cubin = new byte[(int)length];
        fixed (byte* at = cubin) code = api.GetCubin(program, at);
        return code == CudaCodes.Success ? cubin : Failed("nvrtcGetCUBIN", code);
    }

    private string Log(nint program)
    {
        nuint length = 0;
        if (api.GetProgramLogSize(program, &length) != CudaCodes.Success || length == 0) return "";
        byte[] log = new byte[(int)Math.Min(length, 1 << 24)];
        fixed (byte* at = log) _ = api.GetProgramLog(program, at);
        return Encoding.UTF8.GetString(log).TrimEnd('\0');
    }
}
