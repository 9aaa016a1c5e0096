using System.Text.Json;
using System.Text.Json.Serialization;
using KvTier.Engine;
using KvTier.Kernels.Device;
using KvTier.Recall;
using KvTier.Silo.Devices;

namespace KvTier.Silo;

/// <summary>The answer to Stat, as JSON.</summary>
internal sealed record SiloStat
{
    /// <summary>Name of the silo.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the software.</summary>
    public required string Version { get; init; }

    /// <summary>Version of the wire protocol.</summary>
    public required int Protocol { get; init; }

    /// <summary>Id of the process.</summary>
    public required int Pid { get; init; }

    /// <summary>What it is doing: <c>starting</c>, <c>recovering</c>, <c>ready</c>, <c>draining</c>, <c>stopped</c>.</summary>
    public required string State { get; init; }

    /// <summary>Seconds since it is ready.</summary>
    public required double UptimeSeconds { get; init; }

    /// <summary>Why the arena is not shared, or is smaller; null when all is well.</summary>
    public string? ArenaFallback { get; init; }

    /// <summary>What it listens on.</summary>
    public required StatEndpoints Endpoints { get; init; }

    /// <summary>Every option by name, secrets left out, with values as text.</summary>
    public required IReadOnlyDictionary<string, string> Options { get; init; }

    /// <summary>The limits.</summary>
    public required Limits Limits { get; init; }

    /// <summary>Native connections open now.</summary>
    public required int Connections { get; init; }

    /// <summary>The namespaces.</summary>
    public required IReadOnlyList<StatNamespace> Namespaces { get; init; }

    /// <summary>The engine's figures.</summary>
    public required EngineStats Engine { get; init; }

    /// <summary>The figures of sequences and recall.</summary>
    public required RecallStats Recall { get; init; }

    /// <summary>The device of the device tier; null when there is none.</summary>
    public StatDevice? Device { get; init; }

    /// <summary>Misses by reason, those that happened.</summary>
    public required IReadOnlyDictionary<string, long> Misses { get; init; }

    /// <summary>What recovery found; null without a data directory.</summary>
    public RecoverySummary? Recovery { get; init; }

    /// <summary>The engines, what is measured for them, and what is published.</summary>
    public StatEngines? Engines { get; init; }

    /// <summary>The JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, SiloJson.Default.SiloStat);
}

/// <summary>A namespace in the answer to Stat.</summary>
/// <param name="Name">Tenant and profile.</param>
/// <param name="Fingerprint">Its id.</param>
/// <param name="BlockBytes">Bytes of a block; 0 for any.</param>
/// <param name="Blocks">Blocks in it.</param>
internal sealed record StatNamespace(string Name, string Fingerprint, long BlockBytes, long Blocks);

/// <summary>The device in the answer to Stat.</summary>
/// <param name="Name">Its name, as the driver gives it.</param>
/// <param name="Driver"><c>opencl</c> or <c>cuda</c>.</param>
/// <param name="DriverVersion">Version of the driver.</param>
/// <param name="IsGpu">False for a CPU that runs OpenCL.</param>
/// <param name="BudgetBytes">Device memory taken.</param>
/// <param name="CapacityBytes">Part of it for blocks and digests.</param>
/// <param name="Fault">Why it is not used any more; null while it is.</param>
internal sealed record StatDevice(
    string Name, string Driver, string DriverVersion, bool IsGpu, long BudgetBytes, long CapacityBytes, string? Fault)
{
    /// <summary>The facts of a device; null for none.</summary>
    public static StatDevice? Of(RecallDevice? device) => device is null
        ? null
        : new StatDevice(
            device.Info.Name, SiloDevice.ApiName(device.Info.Api), device.Info.DriverVersion, device.Info.IsGpu, device.BudgetBytes,
            device.CapacityBytes, device.Fault?.Message);
}

/// <summary>Endpoints in the answer to Stat; null for what is off.</summary>
internal sealed record StatEndpoints(string? Native, string? UnixSocket, string? Resp, string? Http)
{
    /// <summary>Where KV events are published; null when none are.</summary>
    public string? Events { get; init; }

    /// <summary>Where missed ones are asked for.</summary>
    public string? EventsReplay { get; init; }
}

/// <summary>Generated JSON code.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(SiloStat))]
[JsonSerializable(typeof(StatEngines))]
internal sealed partial class SiloJson : JsonSerializerContext;
