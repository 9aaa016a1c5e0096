using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>What goes wrong, and what those who run the cluster do.</summary>
internal sealed partial class SimWorld
{
    private readonly Dictionary<SimSilo, int> outages = [];
    private bool healed;
    private int troubles;

    private async Task FaultAsync(SimStep step)
    {
        SimSilo silo = Silos[step.A % Silos.Count];
        Trace.Add("driver", step.ToString());
        if (step.IsFault || step.Kind == StepKind.Leave) troubles++;
        Ledger.IsTrusting = troubles == 0;
        await ActAsync(silo, step);
        if (!step.IsFault && step.Kind != StepKind.Leave) return;
        if (Plan.OneAtATime && !healed) await RestAsync(step);
        troubles--;
        Ledger.IsTrusting = troubles == 0;
    }

    private async Task ActAsync(SimSilo silo, SimStep step)
    {
        switch (step.Kind)
        {
            case StepKind.Join:
                if (Silos.Count(each => each.IsWanted) < 7) AddSilo().Start();
                return;
            case StepKind.Leave:
                await LeaveAsync(silo, step);
                return;
            case StepKind.Drain:
                await DrainAsync(silo);
                return;
            case StepKind.Move:
                await MoveAsync(silo, step);
                return;
            case StepKind.Crash or StepKind.Wipe:
                await CrashAsync(silo, step);
                return;
            case StepKind.Stop:
                await AimAsync(silo, step);
                if (silo.Run is { } stopped)
                {
                    // Half of the stops outlast the lease.
                    stopped.Process.Stop();
                    await driver.DelayAsync(step.B % 2 == 0 ? step.Lasts : step.Lasts + (4 * Ticks.Second));
                    stopped.Process.Continue();
                }

                return;
        }

        Begin(silo, step);
        await driver.DelayAsync(step.Lasts);
        if (!healed) End(silo, step);
    }

    private void Begin(SimSilo silo, SimStep step)
    {
        switch (step.Kind)
        {
            case StepKind.Isolate:
                foreach (string other in Others(silo)) CutBoth(silo.Name, other, step.B % 3, isCut: true);
                if (step.C % 2 == 0) CutBoth(silo.Name, "etcd", step.B % 3, isCut: true);
                break;
            case StepKind.Cut:
                CutBoth(silo.Name, Silos[step.B % Silos.Count].Name, step.C % 3, isCut: true);
                break;
            case StepKind.CutEtcd:
                CutBoth(silo.Name, "etcd", step.B % 3, isCut: true);
                break;
            case StepKind.EtcdDown:
                Etcd.GoDown();
                break;
            case StepKind.DiskFull when silo.Media is { } media:
                media.IsFull = true;
                break;
            case StepKind.DiskErrors when silo.Media is { } media:
                media.ErrorRate = 0.3;
                media.DelayMax = 100 * Ticks.Ms;
                break;
            case StepKind.Loss:
                Network.LossRate = 0.02 + (step.B % 10 / 100.0);
                Network.DuplicateRate = 0.05;
                foreach (SimSilo each in Silos) SetPushFaults(each, 0.1, 0.02);
                break;
            case StepKind.Slow:
                Network.SlowRate = 0.2;
                Network.SlowMax = 1500 * Ticks.Ms;
                break;
            case StepKind.Jump:
                silo.ClockJump += TimeSpan.FromSeconds((step.B % 7200) - 3600);
                if (silo.Run is { } run) run.Time.Jump = silo.ClockJump;
                break;
        }
    }

    private void End(SimSilo silo, SimStep step)
    {
        switch (step.Kind)
        {
            case StepKind.Isolate:
                foreach (string other in Others(silo)) CutBoth(silo.Name, other, 0, isCut: false);
                CutBoth(silo.Name, "etcd", 0, isCut: false);
                break;
            case StepKind.Cut:
                CutBoth(silo.Name, Silos[step.B % Silos.Count].Name, 0, isCut: false);
                break;
            case StepKind.CutEtcd:
                CutBoth(silo.Name, "etcd", 0, isCut: false);
                break;
            case StepKind.EtcdDown:
                Etcd.ComeBack();
                break;
            case StepKind.DiskFull or StepKind.DiskErrors:
                HealDisk(silo);
                break;
            case StepKind.Loss or StepKind.Slow:
                Network.HealMessages();
                foreach (SimSilo each in Silos) SetPushFaults(each, 0, 0);
                break;
        }

        Trace.Add("driver", $"end of #{step.Number} {step.Kind}");
    }

    /// <summary>Everything that is wrong ends.</summary>
    private void Heal()
    {
        healed = true;
        Network.Heal();
        if (!Etcd.IsUp) Etcd.ComeBack();
        foreach (SimSilo silo in Silos)
        {
            HealDisk(silo);
            SetPushFaults(silo, 0, 0);
        }

        Trace.Add("driver", "all faults end");
    }

    private async Task CrashAsync(SimSilo silo, SimStep step)
    {
        if (!silo.IsWanted || outages.ContainsKey(silo)) return;
        outages.Add(silo, 1);
        await AimAsync(silo, step);
        silo.Crash();
        if (step.Kind == StepKind.Wipe) _ = LoseDiskAsync(silo);

        await driver.DelayAsync(step.Lasts);
        outages.Remove(silo);
        silo.Start();
    }

    private async Task LoseDiskAsync(SimSilo silo)
    {
        silo.Media?.Wipe();
        Ledger.LoseDisk();
        await driver.DelayAsync(2 * Ticks.Second);
        Ledger.EndLoss();
    }

    // Most of the crashes and stops come when they hurt: just after an answer, between question and change, or among copies.
    private async Task AimAsync(SimSilo silo, SimStep step)
    {
        if (step.C % 3 == 0 || silo.Run is not { } run) return;
        bool isStop = step.Kind == StepKind.Stop;
        SimPoint point = (step.C / 3 % 8) switch
        {
            0 => SimPoint.Taken,
            < 6 => isStop ? SimPoint.Admitted : SimPoint.Answered,
            _ => isStop ? SimPoint.Answered : SimPoint.Admitted,
        };
        Task next = run.Points.NextAsync(point);
        await Task.WhenAny(next, driver.DelayAsync(4 * Ticks.Second));
        await driver.DelayAsync(random.NextTicks(0, 150 * Ticks.Us));
        Trace.Add("driver", $"#{step.Number} aimed at {point}: {next.IsCompleted}");
    }

    private async Task LeaveAsync(SimSilo silo, SimStep step)
    {
        if (silo.Run is not { IsServing: true } || outages.ContainsKey(silo)) return;
        outages.Add(silo, 1);
        silo.Leave();
        await driver.DelayAsync(7 * Ticks.Second + step.Lasts);
        outages.Remove(silo);
        silo.Start();
    }

    private async Task DrainAsync(SimSilo silo)
    {
        SiloRun? admin = Silos.Find(each => each.Run is { IsServing: true })?.Run;
        ClusterMap? map = admin?.Membership.State.Map;
        if (map is null || map.IndexOf(silo.Name) is not (>= 0 and var index)) return;
        bool draining = !map.Silos[index].Draining;
        if (draining && map.Silos.Count(each => !each.Draining) <= 2) return;
        var changed = new ClusterChange(map.Epoch)
        {
            Silos = [.. map.Silos.Select((each, at) => at == index ? each with { Draining = draining } : each)],
        };
        await OnAsync(admin!, async () =>
        {
            Result<ClusterState> made = await admin!.Membership.CommitAsync(changed, TimeSpan.FromSeconds(3));
            Trace.Add("admin", $"drain {silo.Name} {draining}: {made.Error?.Message ?? "ok"}");
        });
    }

    private async Task MoveAsync(SimSilo target, SimStep step)
    {
        SimBlock block = Workload.Sequence(step.B)[step.C % Workload.SequenceBlocks];
        SiloRun? admin = Silos.Find(each => each.Run is { IsServing: true })?.Run;
        if (admin is null) return;
        int owner = admin.Membership.State.Map.OwnerOf(block.Group);
        if (owner < 0 || Find(admin.Membership.State.Map.Silos[owner].Name).Run is not { IsServing: true } run) return;
        await OnAsync(run, async () =>
        {
            long start = run.Time.GetTimestamp();
            KvError? error = await run.Node.MoveAsync(block.Group, target.Name, TimeSpan.FromSeconds(5));
            Trace.Add("admin", $"move {Workload.Name(block.Group)} to {target.Name}: {error?.Message ?? "ok"}");
            if (run.Time.GetElapsedTime(start) > TimeSpan.FromSeconds(6) && step.Number >= 0 && !run.WasStopped)
                Scheduler.Fail("every call ends by its deadline", $"a move took {run.Time.GetElapsedTime(start)}");
        });
    }

    // Runs as a silo; ends when it is done, or after a time, as the silo may die meanwhile.
    private async Task OnAsync(SiloRun run, Func<Task> work)
    {
        bool done = false;
        run.Process.Start(async () =>
        {
            await work();
            done = true;
        });
        for (int i = 0; i < 200 && !done && !run.Process.IsDead; i++) await driver.DelayAsync(50 * Ticks.Ms);
    }

    private IEnumerable<string> Others(SimSilo silo) => Silos.Where(each => each != silo).Select(each => each.Name);

    // 0 both ways, 1 from the first to the second, 2 from the second to the first.
    private void CutBoth(string one, string two, int way, bool isCut)
    {
        if (way != 2) Network.SetCut(one, two, isCut);
        if (way != 1) Network.SetCut(two, one, isCut);
    }

    private static void HealDisk(SimSilo silo)
    {
        if (silo.Media is not { } media) return;
        media.IsFull = false;
        media.ErrorRate = 0;
        media.DelayMax = 2 * Ticks.Ms;
    }

    private static void SetPushFaults(SimSilo silo, double breakRate, double corruptRate)
    {
        if (silo.Run is not { } run) return;
        run.Peers.BreakRate = breakRate;
        run.Peers.CorruptRate = corruptRate;
    }
}
