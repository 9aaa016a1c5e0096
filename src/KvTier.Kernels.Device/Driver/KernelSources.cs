using System.Globalization;
using System.Reflection;

namespace KvTier.Kernels.Device;

/// <summary>
/// The sources of the kernels: one prelude for each API, the decoding of elements, and a file a kernel, all embedded.
/// </summary>
internal static class KernelSources
{
    /// <summary>The file and the entry of a kernel, and whether it is built per dtype.</summary>
    public static (string File, string Entry, bool PerDtype) Find(DeviceKernel kernel) => kernel switch
    {
        DeviceKernel.Score => ("score.cl", "kv_score", true),
        DeviceKernel.Attend => ("attend.cl", "kv_attend", true),
        DeviceKernel.Reduce => ("select.cl", "kv_reduce", false),
        DeviceKernel.TopK => ("select.cl", "kv_topk", false),
        DeviceKernel.Merge => ("merge.cl", "kv_merge", false),
        _ => throw new ArgumentOutOfRangeException(nameof(kernel), kernel, "not a kernel"),
    };

    /// <summary>The program of one file: prelude, and for a file that is built per dtype its elements.</summary>
    public static string Compose(DeviceApi api, string file, bool perDtype, Dtype dtype)
    {
        string prelude = Read(api == DeviceApi.Cuda ? "prelude_cuda.cl" : "prelude_opencl.cl");
        if (!perDtype) return prelude + Read(file);
        string define = string.Create(CultureInfo.InvariantCulture, $"#define KV_DTYPE {(int)dtype}\n");
        return prelude + define + Read("elements.cl") + Read(file);
    }

    private static string Read(string file)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(file)
            ?? throw new InvalidOperationException($"{file} is not embedded");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
