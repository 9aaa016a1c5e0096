namespace KvTier.Simulation;

/// <summary>Messages of a run, counted where they arrive: requests to etcd as its gateway sees them, and calls between silos.</summary>
internal sealed record SimTraffic
{
    /// <summary>Requests of a registration: version, format, grant, claim, and the read that follows.</summary>
    internal const int RequestsOfJoin = 5;

    /// <summary>Leases renewed; each silo does it every third of the lease.</summary>
    internal long Renewals { get; set; }

    /// <summary>Loads written.</summary>
    internal long LoadWrites { get; set; }

    /// <summary>Reads of the whole state.</summary>
    internal long Reads { get; set; }

    /// <summary>Changes of the map that were tried.</summary>
    internal long Commits { get; set; }

    /// <summary>Registrations.</summary>
    internal long Joins { get; set; }

    /// <summary>Changes that etcd sent over the silos' watches.</summary>
    internal long WatchMessages { get; set; }

    /// <summary>Calls between silos about membership.</summary>
    internal long MemberCalls { get; set; }

    /// <summary>Calls between silos about blocks.</summary>
    internal long BlockCalls { get; set; }

    /// <summary>Pushes of blocks.</summary>
    internal long Pushes { get; set; }

    /// <summary>Blocks in them.</summary>
    internal long PushedBlocks { get; set; }

    /// <summary>Bytes in them.</summary>
    internal long PushedBytes { get; set; }

    /// <summary>Requests to etcd, whatever they are.</summary>
    internal long EtcdRequests => Renewals + LoadWrites + Reads + Commits + (Joins * RequestsOfJoin);

    /// <summary>What came since an earlier count.</summary>
    internal SimTraffic Since(SimTraffic before) => new()
    {
        Renewals = Renewals - before.Renewals,
        LoadWrites = LoadWrites - before.LoadWrites,
        Reads = Reads - before.Reads,
        Commits = Commits - before.Commits,
        Joins = Joins - before.Joins,
        WatchMessages = WatchMessages - before.WatchMessages,
        MemberCalls = MemberCalls - before.MemberCalls,
        BlockCalls = BlockCalls - before.BlockCalls,
        Pushes = Pushes - before.Pushes,
        PushedBlocks = PushedBlocks - before.PushedBlocks,
        PushedBytes = PushedBytes - before.PushedBytes,
    };
}
