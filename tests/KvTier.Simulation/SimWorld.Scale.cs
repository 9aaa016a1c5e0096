using KvTier.Cluster;

namespace KvTier.Simulation;

/// <content>Runs in which messages are counted.</content>
internal sealed partial class SimWorld
{
    private const long RestSeconds = 60;

    /// <summary>Counts what a start, a time at rest, a death and a join take.</summary>
    internal IReadOnlyList<ScalePhase> RunScale()
    {
        var phases = new List<ScalePhase>
        {
            Count(ScaleRun.Start, () =>
            {
                foreach (SimSilo silo in Silos) silo.Start();
                RunToRest("at the start");
            }),
        };
        Fill();
        RunToRest("with blocks");

        // What the start and the blocks have set going is over.
        Scheduler.Run(Scheduler.Now + (RestSeconds * Ticks.Second));
        phases.Add(Count(ScaleRun.Rest, () => Scheduler.Run(Scheduler.Now + (RestSeconds * Ticks.Second))));
        SimSilo dying = Silos[Silos.Count / 2];
        List<WalkedBlock> held = dying.Run!.WalkBlocks();
        phases.Add(Count(ScaleRun.Death, () =>
        {
            dying.Crash();
            RunToRest("without one");
        }) with
        { Blocks = held.Count, Bytes = held.Sum(block => (long)block.Length) });
        Scheduler.Run(Scheduler.Now + (RestSeconds * Ticks.Second));
        phases.Add(Count(ScaleRun.Join, () =>
        {
            AddSilo().Start();
            RunToRest("with one more");
        }));
        isOver = true;
        return phases;
    }

    private ScalePhase Count(string name, Action happening)
    {
        (long began, SimTraffic before) = (Scheduler.Now, Etcd.Traffic with { });
        happening();
        return new ScalePhase(
            name, Silos.Count(silo => silo.IsWanted), (Scheduler.Now - began) / (double)Ticks.Second, Etcd.Traffic.Since(before));
    }

    private void Fill()
    {
        for (int sequence = 0; sequence < Workload.Sequences; sequence++)
        {
            SimClient client = Clients[sequence % Clients.Count];
            SimBlock[] blocks = Workload.Sequence(sequence);
            client.Start($"fill s{sequence}", budget => client.PutAsync(blocks, AckLevel.Replica, budget));
        }

        if (!Scheduler.Run(Scheduler.Now + SettleMax, () => Clients.All(client => client.Running == 0)))
            throw new SimFailure("every call ends by its deadline", "operations of clients are still under way");
    }
}
