namespace KvTier.Cluster;

/// <summary>
/// What the cluster's state machines need of whoever keeps its few facts: leases, one numbered map, and changes of it that are guarded by
/// the number. etcd is one (<c>EtcdEngine</c>), a silo of its own another (<c>EmbeddedEngine</c>); an Orleans membership table could be a
/// third.
/// Never called on the data path.
/// </summary>
/// <remarks>Every call ends by its deadline, with <see cref="ErrorCode.DeadlineExceeded"/>. <see cref="ErrorCode.Unavailable"/> says that
/// the
/// engine can't be reached; the outcome of a change is then unknown, and its caller reads before it tries again.</remarks>
public interface IClusterEngine : IAsyncDisposable
{
    /// <summary>
    /// Registers a silo under a lease: it counts as alive while it renews. It is no member before a change of the map says so.
    /// </summary>
    /// <param name="self">What it says of itself.</param>
    /// <param name="ttl">How long the lease lasts without a renewal.</param>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The state after it; <see cref="ErrorCode.Conflict"/> when a living silo has the name or the data directory, naming
    /// it.</returns>
    ValueTask<Result<ClusterState>> JoinAsync(SiloEntry self, TimeSpan ttl, TimeSpan deadline);

    /// <summary>Renews the lease and says how the silo is doing.</summary>
    /// <returns>Null when the lease lasts its whole time from the call on; <see cref="ErrorCode.LeaseExpired"/> when it has run
    /// out.</returns>
    ValueTask<KvError?> RenewAsync(SiloLoad load, TimeSpan deadline);

    /// <summary>Reads the newest state.</summary>
    ValueTask<Result<ClusterState>> ReadAsync(TimeSpan deadline);

    /// <summary>Waits for a state that is newer than a revision.</summary>
    /// <returns>The state; <see cref="ErrorCode.DeadlineExceeded"/> when there was none.</returns>
    ValueTask<Result<ClusterState>> WaitAsync(long revision, TimeSpan deadline);

    /// <summary>Makes one change as a whole, if the epoch is still the one that its author saw.</summary>
    /// <returns>The state with the epoch that the change makes; <see cref="ErrorCode.Conflict"/> when the epoch was another one,
    /// <see cref="ErrorCode.Fenced"/>
    /// when the author's lease has run out.</returns>
    ValueTask<Result<ClusterState>> CommitAsync(ClusterChange change, TimeSpan deadline);

    /// <summary>Ends the lease.</summary>
    /// <returns>Null when it is ended.</returns>
    ValueTask<KvError?> LeaveAsync(TimeSpan deadline);
}
