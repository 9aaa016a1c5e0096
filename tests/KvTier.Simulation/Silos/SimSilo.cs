using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>A silo across its restarts: its name, its disk, its clock, and the run that is under way.</summary>
internal sealed class SimSilo(SimWorld world, int number, SimMedia? media, double clockRate)
{
    private static readonly TimeSpan joinDeadline = TimeSpan.FromSeconds(20);
    private int runs;

    /// <summary>Its number, from 0.</summary>
    internal int Number => number;

    /// <summary>Its name.</summary>
    internal string Name { get; } = $"silo{number}";

    /// <summary>Its disk; null when it has none.</summary>
    internal SimMedia? Media => media;

    /// <summary>How fast its clock goes.</summary>
    internal double ClockRate => clockRate;

    /// <summary>How far its wall clock is off.</summary>
    internal TimeSpan ClockJump { get; set; }

    /// <summary>The run under way; null while it is down.</summary>
    internal SiloRun? Run { get; private set; }

    /// <summary>True when it is meant to run.</summary>
    internal bool IsWanted { get; private set; }

    /// <summary>True once a drain of it was asked for.</summary>
    internal bool IsDraining { get; set; }

    /// <summary>Who answers the calls of others.</summary>
    internal IPeerHandler Handler => Run!;

    /// <summary>What it says of itself.</summary>
    internal SiloEntry Describe() => new()
    {
        Name = Name,
        Endpoint = $"{Name}:6400",
        CapacityBytes = 64 << 20,
        Zone = world.Plan.Silos > 3 ? $"zone{number % 2}" : "",
        Protocol = 1,
        DiskFormat = 2,
        DataId = media is null ? "" : $"data-{Name}",
    };

    /// <summary>Starts it, again and again until it is a member or no longer wanted.</summary>
    internal void Start()
    {
        IsWanted = true;
        Attempt();
    }

    /// <summary>It dies: memory is gone, and of the disk what was not committed, in part.</summary>
    internal void Crash()
    {
        IsWanted = false;
        End();
    }

    /// <summary>It leaves in order, and stays away.</summary>
    internal void Leave()
    {
        if (Run is not { IsServing: true } run) return;
        IsWanted = false;
        run.Process.Start(async () =>
        {
            await run.LeaveAsync(TimeSpan.FromSeconds(5));
            if (Run == run && !IsWanted) End();
        });
    }

    /// <summary>The map that it knows.</summary>
    internal Result<ClusterMap> MapOrError() => Run is { IsServing: true } run
        ? run.Node.Map
        : new KvError(ErrorCode.Unavailable, Name, "not a member");

    internal ValueTask<Result<SimPutReply>> PutAsync(SimPut put) => ServeAsync(run => run.Listener.PutAsync(put));

    internal ValueTask<Result<SimGetReply>> GetAsync(SimGet get) => ServeAsync(run => run.Listener.GetAsync(get));

    internal ValueTask<Result<SimPrefixReply>> PrefixAsync(SimGet get) => ServeAsync(run => run.Listener.PrefixAsync(get));

    internal ValueTask<Result<SimChangeReply>> DeleteAsync(long epoch, IReadOnlyList<SimBlock> blocks) =>
        ServeAsync(run => run.Listener.DeleteAsync(epoch, blocks));

    internal async ValueTask<Result<SimChangeReply>> ChangeAsync(SimBlock block, bool delete, long epoch, TimeSpan deadline)
    {
        Result<SimChangeReply> reply = await ServeAsync(run => run.Listener.ChangeAsync(block, delete, epoch, deadline));
        if (reply.IsOk && reply.Value.Statuses[0] == SimStatus.Done) world.EveryStep.OnChanged(this, block.Group);
        return reply;
    }

    internal ValueTask<Result<SimFound>> GetValueAsync(BlockId id, long epoch, TimeSpan deadline) =>
        ServeAsync(run => run.Listener.GetValueAsync(id, epoch, deadline));

    internal ValueTask<PushReply> ReceivePushAsync(PushBatch batch, TimeSpan deadline) => Run!.ReceivePushAsync(batch, deadline);

    // Clients are served only by members; other silos are answered from the start on.
    private ValueTask<Result<T>> ServeAsync<T>(Func<SiloRun, ValueTask<Result<T>>> serve) => Run is { IsServing: true } run
        ? serve(run)
        : ValueTask.FromResult<Result<T>>(new KvError(ErrorCode.ShuttingDown, Name, "not a member"));

    private void Attempt()
    {
        End();
        SiloRun run = new(world, this, ++runs);
        Run = run;
        world.Network.Open(Name, run.Process, this);
        world.Trace.Add(Name, $"start {runs}");
        run.Process.Start(async () =>
        {
            KvError? error = await run.StartAsync(joinDeadline);
            world.Trace.Add(Name, error is null ? $"start {runs} serves at epoch {run.Node.Map.Epoch}" : $"start {runs}: {error.Message}");
            if (error is null) return;
            await run.Process.DelayAsync(Ticks.Second / 2);
            if (Run == run && IsWanted) Attempt();
        });
    }

    private void End()
    {
        if (Run is not { } run) return;
        Run = null;
        run.Kill();
        int lost = media?.Crash() ?? 0;
        world.Trace.Add(Name, $"ends; {lost} records were not committed and are gone");
    }
}
