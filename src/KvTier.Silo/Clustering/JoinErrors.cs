namespace KvTier.Silo.Clustering;

/// <summary>Says what to do about a join that failed.</summary>
internal static class JoinErrors
{
    /// <summary>The same error with what to do in its limit.</summary>
    public static KvError Explain(KvError error, SiloOptions options)
    {
        string? advice = error.Code switch
        {
            ErrorCode.Unavailable or ErrorCode.DeadlineExceeded =>
                $"an etcd that answers at {string.Join(", ", options.Cluster.Etcd)} within "
                + $"cluster.joinDeadlineMs ({options.Cluster.JoinDeadlineMs})",
            ErrorCode.Unauthorized => "cluster.etcdUser and cluster.etcdPassword of a user that etcd lets in",
            _ => null,
        };
        if (advice is null || error.Limit.Contains(advice, StringComparison.Ordinal)) return error;
        return error with { Limit = error.Limit.Length == 0 ? advice : $"{error.Limit}; {advice}" };
    }
}
