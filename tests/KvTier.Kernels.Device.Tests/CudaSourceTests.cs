using System.Diagnostics;

namespace KvTier.Kernels.Device.Tests;

/// <summary>
/// The sources as CUDA C, without a GPU: clang compiles them to PTX for sm_70, with declarations of our own for the few things that NVRTC
/// brings, so that what is written and tested in OpenCL stays inside the common subset.
/// </summary>
public sealed class CudaSourceTests
{
    private const string Builtins =
        """
        #define __global__ __attribute__((global))
        #define __device__ __attribute__((device))
        #define __shared__ __attribute__((shared))
        struct Place { unsigned int x; };
        #define threadIdx (Place{(unsigned int)__nvvm_read_ptx_sreg_tid_x()})
        #define blockIdx (Place{(unsigned int)__nvvm_read_ptx_sreg_ctaid_x()})
        static __device__ inline float __uint_as_float(unsigned int bits) { return __builtin_bit_cast(float, bits); }
        static __device__ inline unsigned int __float_as_uint(float number) { return __builtin_bit_cast(unsigned int, number); }
        static __device__ inline float expf(float x) { return __nvvm_ex2_approx_f(x * 1.442695f); }
        static __device__ inline float logf(float x) { return __nvvm_lg2_approx_f(x) * 0.6931472f; }
        static __device__ inline unsigned int atomicAdd(unsigned int* at, unsigned int add)
        {
            return (unsigned int)__nvvm_atom_add_gen_i((int*)at, (int)add);
        }

        """;

    public static TheoryData<DeviceKernel, Dtype> Programs()
    {
        var programs = new TheoryData<DeviceKernel, Dtype> { { DeviceKernel.TopK, Dtype.Raw }, { DeviceKernel.Merge, Dtype.Raw } };
        foreach (Dtype dtype in ScoreTests.Dtypes.Select(row => row.Data))
        {
            programs.Add(DeviceKernel.Score, dtype);
            programs.Add(DeviceKernel.Attend, dtype);
        }

        return programs;
    }

    [Theory]
    [MemberData(nameof(Programs))]
    public void Source_AsCuda_CompilesToPtx(DeviceKernel kernel, Dtype dtype)
    {
        (string file, string entry, bool perDtype) = KernelSources.Find(kernel);
        (int code, string ptx, string log) = Compile(Builtins + KernelSources.Compose(DeviceApi.Cuda, file, perDtype, dtype));
        Assert.True(code == 0, log);
        Assert.Contains($".visible .entry {entry}(", ptx, StringComparison.Ordinal);
    }

    [Fact]
    public void Source_OnlyOpenClKnows_DoesNotCompile()
    {
        const string Kernel = "KERNEL void k(GLOBAL float* at) { at[0] = native_sin(at[0]); }\n";
        string source = Builtins + KernelSources.Compose(DeviceApi.Cuda, "merge.cl", perDtype: false, Dtype.Raw) + Kernel;
        (int code, _, string log) = Compile(source);
        Assert.NotEqual(0, code);
        Assert.Contains("native_sin", log, StringComparison.Ordinal);
    }

    private static (int Code, string Output, string Log) Compile(string source)
    {
        var start = new ProcessStartInfo(FindClang())
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in (string[])
            ["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_70", "-O1", "-S", "-o", "-", "-"])
            start.ArgumentList.Add(argument);
        using Process clang = Process.Start(start)!;
        Task<string> output = clang.StandardOutput.ReadToEndAsync();
        Task<string> log = clang.StandardError.ReadToEndAsync();
        clang.StandardInput.Write(source);
        clang.StandardInput.Close();
        if (!clang.WaitForExit(TimeSpan.FromMinutes(5)))
        {
            clang.Kill();
            throw new TimeoutException("clang did not end within 5 minutes");
        }

        return (clang.ExitCode, output.Result, log.Result);
    }

    /// <summary>The newest clang there is; PoCL's own package brings one.</summary>
    private static string FindClang()
    {
        IEnumerable<string> found = Directory.GetFiles("/usr/bin", "clang-*").Where(
            path => int.TryParse(Path.GetFileName(path)["clang-".Length..], out _));
        return found.OrderByDescending(path => int.Parse(Path.GetFileName(path)["clang-".Length..])).FirstOrDefault()
            ?? throw new FileNotFoundException("these tests need clang: /usr/bin/clang-NN");
    }
}
