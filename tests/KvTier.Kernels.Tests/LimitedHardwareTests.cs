using System.Diagnostics;
using System.Runtime.Intrinsics.X86;

namespace KvTier.Kernels.Tests;

/// <summary>Runs the key tests once more in a process whose runtime hides instruction sets, so that the paths of lesser machines are taken
/// through the public methods too: AVX2, then 128-bit vectors without FMA, then no vectors at all.</summary>
public class LimitedHardwareTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    [Theory]
    [InlineData("DOTNET_EnableAVX512", 8)]
    [InlineData("DOTNET_EnableAVX2", 4)]
    [InlineData("DOTNET_EnableHWIntrinsic", 0)]
    public async Task KeyTests_WithInstructionsHidden_Pass(string switchedOff, int lanes)
    {
        Assert.SkipUnless(Avx2.IsSupported, "the switches are those of x64 with AVX2");
        ProcessStartInfo start = new(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Type[] suites =
        [
            typeof(LanesTests), typeof(ConversionTests), typeof(RowDotTests), typeof(TopKTests), typeof(AttentionPartTests),
            typeof(DigestTests),
        ];
        foreach (string argument in (string[])["-noLogo", "-noColor", .. suites.SelectMany(suite => (string[])["-class", suite.FullName!])])
            start.ArgumentList.Add(argument);
        start.Environment[switchedOff] = "0";
        start.Environment[LanesTests.Expected] = lanes.ToString();
        using Process process = Process.Start(start)!;
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Limit);
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(deadline.Token);
            string output = await process.StandardOutput.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            Assert.True(process.ExitCode == 0, $"exit code {process.ExitCode}{Environment.NewLine}{output}{await errors}");
            Assert.Contains("Failed: 0", output, StringComparison.Ordinal);
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }
}
