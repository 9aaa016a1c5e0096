using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>Makes the steps of the plan happen.</summary>
internal sealed partial class SimWorld
{
    private bool operationsDriven;
    private bool faultsDriven;

    private static bool IsOperation(SimStep step) => !step.IsFault && !step.IsAdmin;

    private async Task DriveOperationsAsync()
    {
        long start = Scheduler.Now;
        foreach (SimStep step in Plan.Steps.Where(IsOperation))
        {
            await WaitUntilAsync(start + step.At);
            Operate(step);
        }

        operationsDriven = true;
    }

    // Each fault when the cluster has come to rest after the one before.
    private async Task DriveFaultsInTurnAsync()
    {
        long start = Scheduler.Now;
        foreach (SimStep step in Plan.Steps.Where(step => !IsOperation(step)))
        {
            await WaitUntilAsync(start + step.At);
            await FaultAsync(step);
        }

        faultsDriven = true;
    }

    private async Task DriveFaultsAsync()
    {
        long start = Scheduler.Now;
        var faults = new List<Task>();
        foreach (SimStep step in Plan.Steps.Where(step => !IsOperation(step)))
        {
            await WaitUntilAsync(start + step.At);
            faults.Add(FaultAsync(step));
        }

        await Task.WhenAll(faults);
        faultsDriven = true;
    }

    private async Task WaitUntilAsync(long at)
    {
        if (at > Scheduler.Now) await driver.DelayAsync(at - Scheduler.Now);
    }

    private async Task RestAsync(SimStep step)
    {
        long until = Scheduler.Now + SettleMax;
        while (settle.WhyNot() is { } why)
        {
            if (Scheduler.Now >= until)
            {
                Scheduler.Fail("the cluster settles", $"after {step}, within {SettleMax / Ticks.Second} s: {why}");
                return;
            }

            await driver.DelayAsync(50 * Ticks.Ms);
        }

        Trace.Add("driver", $"at rest after {step}");
        promises.Check();
    }

    private void Operate(SimStep step)
    {
        SimClient client = Clients[step.A % Clients.Count];
        SimBlock[] sequence = Workload.Sequence(step.B);
        int first = step.C % 4 == 0 ? step.C / 4 % sequence.Length : 0;
        SimBlock[] some = sequence[first..Math.Min(sequence.Length, first + 1 + (step.C / 64 % sequence.Length))];
        string what = $"#{step.Number} {step.Kind} s{step.B % Workload.Sequences} {first}+{some.Length}";
        switch (step.Kind)
        {
            case StepKind.Put:
                AckLevel ack = AckOf(step.C);
                client.Start($"{what} {ack}", budget => client.PutAsync(some, ack, budget));
                break;
            case StepKind.Get or StepKind.Hedge:
                client.Start(what, async budget =>
                {
                    if (step.C % 3 == 0) await client.RefreshAsync(budget);
                    return await client.GetAsync(some, step.Kind == StepKind.Hedge, new HashSet<BlockId>(), budget);
                });
                break;
            case StepKind.Prefix:
                client.Start(what, budget => client.PrefixAsync(sequence, budget));
                break;
            case StepKind.Delete:
                client.Start(what, budget => client.DeleteAsync(some[..1], budget));
                break;
            case StepKind.GetValue:
                client.Start($"#{step.Number} get v{step.B}", budget => client.GetValueAsync(step.B, budget));
                break;
            default:
                bool unset = step.Kind == StepKind.Unset;
                client.Start($"#{step.Number} {step.Kind} v{step.B}", budget => client.ChangeAsync(step.B, unset, budget));
                break;
        }
    }

    private AckLevel AckOf(int draw) => (draw % 8) switch
    {
        < 4 when Plan.Replicas > 1 => AckLevel.Replica,
        < 6 when Plan.HasDisk => AckLevel.Ssd,
        _ => AckLevel.Memory,
    };
}
