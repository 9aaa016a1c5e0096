using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Memory;
using KvTier.Silo.Clustering;

namespace KvTier.Simulation;

/// <summary>One run of a silo, from a start to a stop or crash: the real engine, membership and node over simulated surroundings.</summary>
internal sealed class SiloRun : IPeerHandler
{
    private readonly CancellationTokenSource stop = new();
    private readonly SimMedia? media;

    internal SiloRun(SimWorld world, SimSilo silo, int number)
    {
        Random random = Ticks.Stream(world.Plan.Seed, 1000 + (number * 100) + silo.Number);
        media = silo.Media;
        Process = new SimProcess(world.Scheduler, $"{silo.Name}.{number}");
        Time = new SimTime(world.Scheduler, Process, silo.ClockRate) { Jump = silo.ClockJump };
        Arena = Arena.Create(new ArenaOptions { CapacityBytes = world.Plan.HostBytes, Shared = false }).Value;
        var options = new EngineOptions
        {
            GhostBlocks = 64,
            MissLedgerEntries = 1024,
            PutWaitMs = 1000,
            // What was acknowledged is never given up for want of a disk.
            LogRefusedGraceMs = int.MaxValue,
        };
        SimDisk? disk = media is null ? null : new SimDisk(media, Process, world.Scheduler);
        Engine = new BlockEngine(options, Arena, disk, Time);
        Store = new EngineBlockStore(Engine, OpenNamespace, options.Limits, Time);
        Peers = new SimPeers(world.Network, Process, silo.Name, Time, random, world.Etcd.Traffic);
        var etcd = new SimEngine(world.Etcd, world.Network, Process, silo.Name, Time, random);
        ClusterOptions cluster = world.ClusterOptions;
        Membership = new Cluster.Membership(cluster, silo.Describe(), etcd, Peers, Time, new Random(random.Next()));
        Node = new ClusterNode(cluster, Membership, Peers, Store, Time, new Random(random.Next()));
        Node.Faults = Plants.FaultsOf(world.Plant);
        Points = new SimPoints(Process, random);
        Listener = new Listener(Engine, Node, Time, Points, world.Plant);
    }

    internal SimProcess Process { get; }

    internal SimTime Time { get; }

    internal Arena Arena { get; }

    internal BlockEngine Engine { get; }

    internal EngineBlockStore Store { get; }

    internal SimPeers Peers { get; }

    internal Cluster.Membership Membership { get; }

    internal ClusterNode Node { get; }

    internal Listener Listener { get; }

    internal SimPoints Points { get; }

    /// <summary>True once it is a member and until it leaves.</summary>
    internal bool IsServing { get; private set; }

    /// <summary>True when it was stopped for a while at any time.</summary>
    internal bool WasStopped => Process.WasStopped;

    /// <summary>Starts it, in the order of a silo: recover, answer others, join, serve.</summary>
    /// <returns>Null, or why it could not.</returns>
    internal async Task<KvError?> StartAsync(TimeSpan deadline)
    {
        Engine.Recover(media is null ? [] : [.. media.Namespaces]);
        foreach (NamespaceDescriptor ns in (NamespaceDescriptor[])[Workload.Blocks, Workload.Mutable])
        {
            if (OpenNamespace(ns).Error is { } refused) return refused;
        }

        // The engine's own start takes a thread for each loop.
        if (Engine.Writer is { } writer) _ = writer.RunAsync(stop.Token);
        _ = Engine.Sweeper.RunAsync(stop.Token);
        if (await Membership.StartAsync(deadline) is { } error) return error;
        Node.Start();
        IsServing = true;
        return null;
    }

    /// <summary>Leaves the cluster in order.</summary>
    internal async Task LeaveAsync(TimeSpan deadline)
    {
        await Membership.LeaveAsync(deadline);
        IsServing = false;
        await Node.DisposeAsync();
        await Membership.DisposeAsync();
    }

    /// <summary>Ends it at once, and gives its memory back; nothing of it runs afterwards.</summary>
    internal void Kill()
    {
        IsServing = false;
        Process.Kill();
        Engine.Kill();
        Arena.Dispose();
        stop.Dispose();
    }

    /// <inheritdoc/>
    public ValueTask<Result<PeerMessage>> OnCallAsync(string from, PeerMessage request, TimeSpan deadline) =>
        request.Op < PeerOps.Blocks ? Membership.OnCallAsync(from, request, deadline) : Node.OnCallAsync(from, request, deadline);

    /// <summary>Blocks that another silo pushes, as the listener takes them.</summary>
    internal async ValueTask<PushReply> ReceivePushAsync(PushBatch batch, TimeSpan deadline)
    {
        long start = Time.GetTimestamp();
        var statuses = new PushStatus[batch.Blocks.Count];
        KvError? first = null;
        if (!OpenNamespace(batch.Namespace).TryGet(out ushort ns, out KvError? error))
            return new PushReply(Node.Map.Epoch, [.. statuses.Select(_ => PushStatus.Refused)], error);
        await Node.CatchUpAsync(batch.Epoch);
        long admitted = Node.Map.Epoch;
        for (int i = 0; i < statuses.Length; i++)
        {
            StoredBlock block = batch.Blocks[i];
            if (Node.AdmitPush(batch.Role, batch.Epoch, batch.Namespace, block.Group) != Admission.Serve)
            {
                statuses[i] = PushStatus.Moved;
                continue;
            }

            Result<bool> stored = await Store.PutAsync(ns, block, deadline - Time.GetElapsedTime(start));
            statuses[i] = !stored.IsOk ? PushStatus.Refused : stored.Value ? PushStatus.Stored : PushStatus.Present;
            first ??= stored.Error;
            if (statuses[i] == PushStatus.Stored) Node.NoteStored(ns, block.Group, admitted, batch.Role);
        }

        await Points.PassAsync(SimPoint.Taken);
        return new PushReply(Node.Map.Epoch, statuses, first);
    }

    /// <summary>All its blocks.</summary>
    internal List<WalkedBlock> WalkBlocks()
    {
        var all = new List<WalkedBlock>();
        var step = new WalkedBlock[256];
        long cursor = 0;
        do
        {
            cursor = Store.Walk(cursor, step, out int count);
            all.AddRange(step.AsSpan(0, count));
        }
        while (cursor != 0);
        return all;
    }

    private Result<ushort> OpenNamespace(NamespaceDescriptor descriptor)
    {
        if (media is not null && !media.Namespaces.Contains(descriptor)) media.Namespaces.Add(descriptor);
        return Engine.OpenNamespace(descriptor);
    }
}
