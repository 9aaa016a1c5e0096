using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>
/// A client: it computes owners by the map that it knows, follows those who say that a group has moved, and asks another silo for the map
/// when one does not answer.
/// </summary>
internal sealed partial class SimClient
{
    private static readonly TimeSpan operationDeadline = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan callDeadline = TimeSpan.FromSeconds(1.5);

    private readonly SimScheduler scheduler;
    private readonly SimNetwork network;
    private readonly Func<IReadOnlyList<string>> silos;
    private readonly Ledger ledger;
    private readonly SimTrace trace;
    private readonly Random random;
    private readonly SimTime time;
    private ClusterMap? map;

    internal SimClient(
        int number, SimScheduler scheduler, SimNetwork network, Func<IReadOnlyList<string>> silos, Ledger ledger, SimTrace trace,
        Random random)
    {
        Name = $"client{number}";
        this.scheduler = scheduler;
        this.network = network;
        this.silos = silos;
        this.ledger = ledger;
        this.trace = trace;
        this.random = random;
        Process = new SimProcess(scheduler, Name);
        time = new SimTime(scheduler, Process, 1);
    }

    /// <summary>Its name.</summary>
    internal string Name { get; }

    /// <summary>Its process.</summary>
    internal SimProcess Process { get; }

    /// <summary>Operations under way.</summary>
    internal int Running { get; private set; }

    /// <summary>Operations that ended well.</summary>
    internal long Succeeded { get; private set; }

    /// <summary>Operations that did not.</summary>
    internal long Failed { get; private set; }

    /// <summary>Starts an operation.</summary>
    internal void Start(string what, Func<Budget, Task<string?>> operation)
    {
        Running++;
        Process.Start(() => RunAsync(what, operation));
    }

    private async Task RunAsync(string what, Func<Budget, Task<string?>> operation)
    {
        long start = scheduler.Now;
        trace.Add(Name, what);
        string? error = await operation(new Budget(time, operationDeadline));
        Running--;
        if (error is null) Succeeded++;
        else Failed++;
        trace.Add(Name, $"{what} ended: {error ?? "ok"}");
        if (scheduler.Now - start > operationDeadline.Ticks + callDeadline.Ticks + Ticks.Second)
            scheduler.Fail("every call ends by its deadline", $"{Name}: {what} took {(scheduler.Now - start) / Ticks.Ms} ms");
    }

    private string? OwnerOf(BlockId group)
    {
        int owner = map?.OwnerOf(group) ?? -1;
        return owner < 0 ? null : map!.Silos[owner].Name;
    }

    private ValueTask<Result<T>> CallAsync<T>(string silo, Func<SimSilo, ValueTask<Result<T>>> serve, Budget budget, bool mayRepeat) =>
        network.CallAsync(Process, Name, time, silo, serve, budget.AtMost(callDeadline), mayRepeat);

    /// <summary>Learns the newest map that a silo knows, of those that answer.</summary>
    internal async ValueTask RefreshAsync(Budget budget, string? not = null)
    {
        string[] asked = [.. silos().Where(name => name != not)];
        random.Shuffle(asked);
        foreach (string silo in asked.Take(3))
        {
            Result<ClusterMap> answer = await network.CallAsync<SimSilo, ClusterMap>(
                Process, Name, time, silo, target => ValueTask.FromResult(target.MapOrError()), budget.AtMost(callDeadline / 3),
                mayRepeat: true);
            if (!answer.TryGet(out ClusterMap? newer, out _)) continue;
            if (map is null || newer.Epoch > map.Epoch) map = newer;
            return;
        }
    }

    /// <summary>What is left of an operation's time.</summary>
    internal readonly struct Budget(TimeProvider time, TimeSpan span)
    {
        private readonly long start = time.GetTimestamp();

        internal TimeSpan Left => span - time.GetElapsedTime(start);

        internal bool IsOver => Left <= TimeSpan.Zero;

        internal TimeSpan AtMost(TimeSpan longest) => Left < longest ? Left : longest;
    }
}
