namespace KvTier.Recall;

/// <summary>
/// The clusters of a run of tokens, all layers and KV heads: centre and mean value of each, and whose tokens they are. Never changed once
/// built; forks share its rows.
/// </summary>
internal sealed class ClusterSegment
{
    private readonly ushort[] members;
    private readonly ushort[] starts;

    /// <summary>Makes a segment.</summary>
    /// <param name="rows">The centres and values, counted once for it.</param>
    /// <param name="firstToken">First token.</param>
    /// <param name="tokens">Tokens, at most 65,535.</param>
    /// <param name="clusters">Clusters of each head (K).</param>
    /// <param name="payload">Payload of its one block while the clusters are provisional; null afterwards.</param>
    internal ClusterSegment(DigestSegment rows, long firstToken, int tokens, int clusters, SharedNumbers? payload)
        : this(
            rows,
            firstToken,
            tokens,
            clusters,
            payload,
            new ushort[rows.Layout.Heads * tokens],
            new ushort[rows.Layout.Heads * (clusters + 1)])
    {
    }

    private ClusterSegment(
        DigestSegment rows, long firstToken, int tokens, int clusters, SharedNumbers? payload, ushort[] members, ushort[] starts)
    {
        Rows = rows;
        FirstToken = firstToken;
        Tokens = tokens;
        Clusters = clusters;
        Payload = payload;
        this.members = members;
        this.starts = starts;
    }

    /// <summary>The clusters of one KV head of a segment that another silo has: whose tokens they are, and nothing else.</summary>
    /// <param name="firstToken">First token.</param>
    /// <param name="tokens">Tokens.</param>
    /// <param name="clusters">Clusters (K).</param>
    /// <param name="members">Tokens of each cluster after the other, counted from the first.</param>
    /// <param name="starts">Where each of K + 1 clusters begins in it.</param>
    internal static ClusterSegment OfMembers(long firstToken, int tokens, int clusters, ushort[] members, ushort[] starts) =>
        new(rows: null!, firstToken, tokens, clusters, payload: null, members, starts);

    /// <summary>Tokens of each cluster of a KV head, and where each begins.</summary>
    internal (ushort[] Members, ushort[] Starts) MembersOf(int head) => (
        members.AsSpan(head * Tokens, Tokens).ToArray(), starts.AsSpan(head * (Clusters + 1), Clusters + 1).ToArray());

    /// <summary>Centres and values.</summary>
    internal DigestSegment Rows { get; }

    /// <summary>First token.</summary>
    internal long FirstToken { get; }

    /// <summary>Tokens.</summary>
    internal int Tokens { get; }

    /// <summary>Clusters of each head (K); some may be empty.</summary>
    internal int Clusters { get; }

    /// <summary>Payload of its one block while the clusters are provisional.</summary>
    internal SharedNumbers? Payload { get; }

    /// <summary>True for the provisional segment of a block that is gone: its payload holds nothing.</summary>
    internal bool IsAbsent { get; init; }

    /// <summary>Number of its one block in the sequence while the clusters are provisional.</summary>
    internal int Position { get; init; }

    /// <summary>Bytes held, those of the tables included.</summary>
    internal long Bytes => Rows.Layout.Bytes + (Payload?.Bytes ?? 0) + ((members.Length + starts.Length) * (long)sizeof(ushort));

    /// <summary>Tokens of a cluster, counted from the segment's first, ascending. Cluster K has those with a bad key.</summary>
    internal ReadOnlySpan<ushort> Members(int head, int cluster)
    {
        int start = starts[(head * (Clusters + 1)) + cluster];
        int end = cluster == Clusters ? Tokens : starts[(head * (Clusters + 1)) + cluster + 1];
        return members.AsSpan((head * Tokens) + start, end - start);
    }

    /// <summary>Takes the clusters of a head.</summary>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="clusterOf">The cluster of each token; K for one with a bad key.</param>
    internal void SetMembers(int head, ReadOnlySpan<int> clusterOf)
    {
        int at = 0;
        for (int cluster = 0; cluster <= Clusters; cluster++)
        {
            starts[(head * (Clusters + 1)) + cluster] = (ushort)at;
            for (int t = 0; t < clusterOf.Length; t++)
                if (clusterOf[t] == cluster) members[(head * Tokens) + at++] = (ushort)t;
        }
    }

    /// <summary>The same segment for a fork that has all of its tokens, or the first ones of them: centres and mean values stay those of
    /// the whole clusters then.</summary>
    internal ClusterSegment Share(int tokens)
    {
        DigestSegment rows = Rows.Share();
        if (tokens == Tokens)
            return new ClusterSegment(rows, FirstToken, Tokens, Clusters, Payload?.Share(), members, starts)
            {
                IsAbsent = IsAbsent,
                Position = Position,
            };
        var cut = new ClusterSegment(rows, FirstToken, tokens, Clusters, payload: null);
        int[] clusterOf = new int[tokens];
        for (int head = 0; head < rows.Layout.Heads; head++)
        {
            for (int cluster = 0; cluster <= Clusters; cluster++)
                foreach (ushort token in Members(head, cluster))
                    if (token < tokens) clusterOf[token] = cluster;
            cut.SetMembers(head, clusterOf);
        }

        return cut;
    }

    /// <summary>Gives up what it holds.</summary>
    internal void Release()
    {
        Rows.Release();
        Payload?.Release();
    }
}
