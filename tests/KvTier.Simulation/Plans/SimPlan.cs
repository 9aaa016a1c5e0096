namespace KvTier.Simulation;

/// <summary>What a step of a plan does.</summary>
internal enum StepKind
{
    // Of clients.
    Put,
    Get,
    Hedge,
    Prefix,
    Delete,
    Set,
    Unset,
    GetValue,

    // Of whoever administers.
    Join,
    Leave,
    Drain,
    Move,

    // Faults.
    Crash,
    Wipe,
    Stop,
    Isolate,
    Cut,
    CutEtcd,
    EtcdDown,
    DiskFull,
    DiskErrors,
    Loss,
    Slow,
    Jump,
}

/// <summary>One thing that happens.</summary>
/// <param name="Number">Its place in the whole plan; stays when others are taken out.</param>
/// <param name="At">When, in ticks after the cluster has settled.</param>
/// <param name="Kind">What.</param>
/// <param name="A">First argument: client, silo.</param>
/// <param name="B">Second argument: sequence, value, silo.</param>
/// <param name="C">Third argument: blocks, flags.</param>
/// <param name="Lasts">How long a fault lasts, in ticks.</param>
internal sealed record SimStep(int Number, long At, StepKind Kind, int A, int B, int C, long Lasts)
{
    /// <summary>True for what goes wrong.</summary>
    internal bool IsFault => Kind >= StepKind.Crash;

    /// <summary>True for changes of the cluster by those who run it.</summary>
    internal bool IsAdmin => Kind is >= StepKind.Join and < StepKind.Crash;

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant(
        $"#{Number} at {At / Ticks.Ms} ms: {Kind} {A} {B} {C}{(IsFault ? $" for {Lasts / Ticks.Ms} ms" : "")}");
}

/// <summary>All that a seed decides before the run.</summary>
internal sealed record SimPlan
{
    /// <summary>The seed.</summary>
    internal required int Seed { get; init; }

    /// <summary>Silos at the start.</summary>
    internal required int Silos { get; init; }

    /// <summary>Replicas.</summary>
    internal required int Replicas { get; init; }

    /// <summary>True when silos have an SSD tier.</summary>
    internal required bool HasDisk { get; init; }

    /// <summary>
    /// True when one fault follows another only after the cluster has settled: then nothing acknowledged by replicas may be lost.
    /// </summary>
    internal required bool OneAtATime { get; init; }

    /// <summary>Bytes of host memory of a silo.</summary>
    internal required long HostBytes { get; init; }

    /// <summary>What happens, by time.</summary>
    internal required IReadOnlyList<SimStep> Steps { get; init; }

    /// <inheritdoc/>
    public override string ToString() =>
        $"seed {Seed}: {Silos} silos, {Replicas} replicas, {(HasDisk ? "SSD" : "no SSD")}, "
        + $"{(OneAtATime ? "one fault at a time" : "faults overlap")}, {HostBytes >> 20} MiB";
}
