using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>A cluster with its clients, from one plan: everything there is in a run.</summary>
internal sealed partial class SimWorld : IDisposable
{
    /// <summary>Longest that a cluster without faults may take to come to rest.</summary>
    internal const long SettleMax = 120 * Ticks.Second;

    private const int ClientCount = 3;

    /// <summary>Events of a whole run above which it is given up.</summary>
    private const long EventsMax = 30_000_000;

    private readonly Random random;
    private readonly SimProcess driver;
    private readonly SettleCheck settle;
    private readonly PromiseCheck promises;
    private bool isOver;

    internal SimWorld(SimPlan plan, Plant plant = Plant.None)
    {
        Plan = plan;
        Plant = plant;
        random = Ticks.Stream(plan.Seed, 2);
        Scheduler = new SimScheduler(unchecked(plan.Seed * 31));
        Trace = new SimTrace(Scheduler);
        Network = new SimNetwork(Scheduler, Ticks.Stream(plan.Seed, 3));
        Ledger = new Ledger(Scheduler);
        ClusterOptions = new ClusterOptions
        {
            Cluster = "sim",
            Replicas = plan.Replicas,
            HotReadsPerSecond = 0,
            CopyBytesPerSecond = 1 << 20,
        };
        Etcd = new EtcdModel(Scheduler, Trace, "sim", new ClusterSettings { Replicas = plan.Replicas });
        Network.Open("etcd", Etcd.Process, Etcd);
        for (int number = 0; number < plan.Silos; number++) AddSilo();
        for (int number = 0; number < ClientCount; number++)
        {
            Clients.Add(new SimClient(
                number, Scheduler, Network, () => [.. Silos.Select(silo => silo.Name)], Ledger, Trace,
                Ticks.Stream(plan.Seed, 10 + number)));
        }

        driver = new SimProcess(Scheduler, "driver");
        settle = new SettleCheck(this);
        promises = new PromiseCheck(this);
        EveryStep = new StepCheck(this);
        Scheduler.AfterEvent = AfterEvent;
    }

    internal SimPlan Plan { get; }

    internal Plant Plant { get; }

    internal SimScheduler Scheduler { get; }

    internal SimTrace Trace { get; }

    internal SimNetwork Network { get; }

    internal EtcdModel Etcd { get; }

    internal Ledger Ledger { get; }

    internal ClusterOptions ClusterOptions { get; }

    internal StepCheck EveryStep { get; }

    internal List<SimSilo> Silos { get; } = [];

    internal List<SimClient> Clients { get; } = [];

    /// <summary>A silo by its name.</summary>
    internal SimSilo Find(string name) => Silos.Find(silo => silo.Name == name)!;

    /// <summary>Runs the plan to its end.</summary>
    /// <exception cref="SimFailure">An oracle says no.</exception>
    internal void Run()
    {
        Trace.Add("plan", Plan.ToString());
        foreach (SimSilo silo in Silos) silo.Start();
        RunToRest("at the start");
        driver.Start(DriveOperationsAsync);
        driver.Start(Plan.OneAtATime ? DriveFaultsInTurnAsync : DriveFaultsAsync);
        long longest = Plan.Steps.Count == 0 ? 0 : Plan.Steps[^1].At + (Plan.Steps.Count(step => !IsOperation(step)) * SettleMax);
        if (!Scheduler.Run(Scheduler.Now + longest + SettleMax, () => operationsDriven && faultsDriven))
            throw new SimFailure("progress", "the plan did not come to its end");
        Heal();
        if (!Scheduler.Run(Scheduler.Now + SettleMax, () => Clients.All(client => client.Running == 0)))
            throw new SimFailure("every call ends by its deadline", "operations of clients are still under way");
        RunToRest("at the end");
        ReadEverything();
        isOver = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        isOver = true;
        foreach (SimSilo silo in Silos) silo.Crash();
    }

    private SimSilo AddSilo()
    {
        int number = Silos.Count;
        SimMedia? media = Plan.HasDisk ? new SimMedia(Ticks.Stream(Plan.Seed, 500 + number)) : null;
        double rate = 1 + ((random.NextDouble() - 0.5) * 0.01);
        var silo = new SimSilo(this, number, media, rate);
        Silos.Add(silo);
        return silo;
    }

    private void AfterEvent()
    {
        if (isOver) return;
        EveryStep.Check();
        if (Scheduler.Events > EventsMax) throw new SimFailure("progress", $"{EventsMax} events and no end");
    }

    private void RunToRest(string when)
    {
        long until = Scheduler.Now + SettleMax;
        while (settle.WhyNot() is { } why)
        {
            if (Scheduler.Now >= until) throw new SimFailure("the cluster settles", $"{when}, after {SettleMax / Ticks.Second} s: {why}");
            Scheduler.Run(Scheduler.Now + (50 * Ticks.Ms));
        }

        Trace.Add("driver", $"at rest {when}");
        promises.Check();
        Scheduler.Run(Scheduler.Now);
    }

    /// <summary>A client by the map finds every block that is anywhere.</summary>
    private void ReadEverything()
    {
        HashSet<BlockId> here = [];
        foreach (SimSilo silo in Silos.Where(silo => silo.IsWanted)) here.UnionWith(silo.Run!.WalkBlocks().Select(block => block.Id));
        HashSet<BlockId> found = [];
        SimClient reader = Clients[0];
        for (int sequence = 0; sequence < Workload.Sequences; sequence++)
        {
            SimBlock[] blocks = Workload.Sequence(sequence);
            reader.Start($"read all of s{sequence}", budget => reader.GetAsync(blocks, hedge: false, found, budget));
        }

        Scheduler.Run(Scheduler.Now + (20 * Ticks.Second), () => reader.Running == 0);
        foreach (SimBlock block in Enumerable.Range(0, Workload.Sequences).SelectMany(Workload.Sequence))
        {
            if (here.Contains(block.Id) && !found.Contains(block.Id) && !Ledger.WasDeleted(block.Id))
                throw new SimFailure("a routed get finds what is there", $"{Workload.Name(block.Id)} is there and was not found");
        }
    }
}
