using KvTier.Kernels.Device;
using KvTier.Protocol;
using KvTier.Testing;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Tests.Support;

/// <summary>Silos with a device, and attention asked of them over and over.</summary>
internal static class DeviceRuns
{
    /// <summary>A little device memory; OpenCL takes PoCL where there is no GPU. PoCL compiles a kernel once more at its first launch,
    /// which on a busy machine takes longer than a device may that is not to count as failed.</summary>
    public static readonly DeviceSettings Small =
        new() { Driver = "opencl", Bytes = 4 << 20, ScratchBytes = 1 << 20, TimeoutMs = 120_000 };

    /// <summary>Attends to a whole sequence, or to what the selector says.</summary>
    /// <returns>o and lse as bytes of fp32.</returns>
    public static float[] Attend(RawClient client, string sequence, float[] queries, Selector? selector = null)
    {
        byte[] bytes = SequenceCalls.Bytes(queries);
        RecallHead head = SequenceCalls.Head(client, RecallMode.Attend) with { Selector = selector ?? SequenceCalls.Whole };
        Reply reply = client.Ask(Opcode.Recall, SequenceCalls.Body(head, bytes, sequence), bytes);
        reply.Ok();
        return [.. System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(reply.Payload.AsSpan())];
    }

    /// <summary>Attention on device and host differ by how sums round: 1e-5 of the largest number.</summary>
    public static void AssertClose(float[] expected, float[] got)
    {
        Assert.Equal(expected.Length, got.Length);
        float largest = expected.Max(MathF.Abs);
        for (int i = 0; i < expected.Length; i++) Assert.InRange(got[i], expected[i] - (1e-5f * largest), expected[i] + (1e-5f * largest));
    }

    /// <summary>Opens a real device through a driver that can be made to fail.</summary>
    public static Result<RecallDevice> OpenFaulty(DeviceOptions options, Action<FaultyDeviceDriver> keep)
    {
        if (!DeviceDrivers.Open(options.Driver, options.AllowCpu).TryGet(out IDeviceDriver? driver, out KvError? error)) return error;
        var faulty = new FaultyDeviceDriver(driver);
        keep(faulty);

        // What closing gives up as too late stays with the process, and counts as left behind.
        return RecallDevice.Open(options with { CloseTimeout = TimeSpan.FromSeconds(60) }, faulty);
    }
}

/// <summary>Keeps what is logged.</summary>
internal sealed class LogKeeper : ILoggerFactory, ILogger
{
    private readonly List<(int Id, string Text)> lines = [];

    public List<string> Of(int id)
    {
        lock (lines) return [.. lines.Where(line => line.Id == id).Select(line => line.Text)];
    }

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (lines) lines.Add((eventId.Id, formatter(state, exception)));
    }

    public void Dispose()
    {
    }
}
