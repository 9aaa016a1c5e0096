namespace KvTier.Simulation;

/// <summary>Makes the plan of a seed.</summary>
internal static class Planner
{
    private static readonly (StepKind Kind, int Weight)[] operations =
    [
        (StepKind.Put, 34), (StepKind.Get, 22), (StepKind.Hedge, 4), (StepKind.Prefix, 5), (StepKind.Delete, 1),
        (StepKind.Set, 17), (StepKind.Unset, 3), (StepKind.GetValue, 14),
    ];

    private static readonly (StepKind Kind, int Weight)[] changes =
        [(StepKind.Join, 3), (StepKind.Leave, 2), (StepKind.Drain, 3), (StepKind.Move, 6)];

    private static readonly (StepKind Kind, int Weight)[] faults =
    [
        (StepKind.Crash, 12), (StepKind.Wipe, 2), (StepKind.Stop, 6), (StepKind.Isolate, 4), (StepKind.Cut, 4), (StepKind.CutEtcd, 4),
        (StepKind.EtcdDown, 4), (StepKind.DiskFull, 2), (StepKind.DiskErrors, 2), (StepKind.Loss, 3),
        (StepKind.Slow, 2), (StepKind.Jump, 1),
    ];

    /// <summary>Makes a plan.</summary>
    /// <param name="seed">Decides everything.</param>
    /// <param name="steps">Operations, changes and faults together.</param>
    /// <param name="silos">Silos at the start; 0 for the seed to decide.</param>
    internal static SimPlan Make(int seed, int steps, int silos = 0)
    {
        Random random = Ticks.Stream(seed, 1);
        int count = silos > 0 ? silos : 3 + random.Next(3);
        bool oneAtATime = random.Chance(0.6);
        var list = new List<SimStep>();
        var stored = new List<int>();
        long at = 0;
        int faultEvery = 12 + random.Next(14);
        for (int number = 0; number < steps; number++)
        {
            at += random.NextTicks(5 * Ticks.Ms, 250 * Ticks.Ms);
            bool isOther = number % faultEvery == faultEvery - 1;
            (StepKind Kind, int Weight)[] table = !isOther ? operations : random.Chance(0.35) ? changes : faults;
            SimStep step = MakeStep(random, number, at, Pick(random, table), count, stored);
            list.Add(step);
            if (!step.IsAdmin) continue;

            // What a change of the cluster sets going takes some ms: reads and a fault must come in between.
            for (int read = 0; read < 6 && ++number < steps; read++)
                list.Add(MakeStep(random, number, at += random.NextTicks(0, 8 * Ticks.Ms), StepKind.Get, count, stored));
            if (random.Chance(0.5) && ++number < steps)
                list.Add(MakeStep(random, number, at += random.NextTicks(0, 20 * Ticks.Ms), Pick(random, faults), count, stored));
        }

        int[] replicas = [1, 2, 2, 2, 3];
        bool hasDisk = random.Chance(0.7);
        return new SimPlan
        {
            Seed = seed,
            Silos = count,
            Replicas = replicas[random.Next(replicas.Length)],
            HasDisk = hasDisk,
            OneAtATime = oneAtATime,

            // Without an SSD tier, room for everything: what is evicted for want of it is lost by right.
            HostBytes = hasDisk && random.Chance(0.3) ? 2 << 20 : 8 << 20,
            Steps = list,
        };
    }

    private static SimStep MakeStep(Random random, int number, long at, StepKind kind, int silos, List<int> stored)
    {
        long lasts = random.NextTicks(200 * Ticks.Ms, random.Chance(0.5) ? 2 * Ticks.Second : 9 * Ticks.Second);
        int b = kind is StepKind.Set or StepKind.Unset or StepKind.GetValue
            ? random.Next(Workload.Values)
            : kind < StepKind.Join ? random.Next(Workload.Sequences) : random.Next(1 << 20);
        if (kind == StepKind.Put) stored.Add(b);
        else if (kind is (StepKind.Get or StepKind.Hedge or StepKind.Prefix) && stored.Count > 0 && random.Chance(0.9))
            b = stored[random.Next(stored.Count)];
        return new SimStep(number, at, kind, random.Next(kind < StepKind.Join ? 3 : silos), b, random.Next(1 << 20), lasts);
    }

    private static StepKind Pick(Random random, (StepKind Kind, int Weight)[] table)
    {
        int left = random.Next(table.Sum(each => each.Weight));
        foreach ((StepKind kind, int weight) in table)
        {
            left -= weight;
            if (left < 0) return kind;
        }

        return table[0].Kind;
    }
}
