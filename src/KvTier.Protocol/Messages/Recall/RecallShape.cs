namespace KvTier.Protocol;

/// <summary>What the answer to a recall must look like, known to who asked.</summary>
/// <param name="Mode">What was asked for.</param>
/// <param name="Items">Items of the request.</param>
/// <param name="Window">Queries in the window (W).</param>
/// <param name="QueryHeads">Query heads (Hq).</param>
/// <param name="KvHeads">KV heads (Hkv).</param>
/// <param name="HeadDim">Elements of a query (D).</param>
/// <param name="TokenBytes">Bytes of one token in the gather of one KV head: key and value, or the one latent row of MLA.</param>
public readonly record struct RecallShape(
    RecallMode Mode, int Items, int Window, int QueryHeads, int KvHeads, int HeadDim, int TokenBytes)
{
    /// <summary>Bytes of o, fp32 <c>[W, Hq, D]</c>.</summary>
    public long OutputBytes => (long)Window * QueryHeads * HeadDim * sizeof(float);

    /// <summary>Bytes of lse, fp32 <c>[W, Hq]</c>.</summary>
    public long LseBytes => (long)Window * QueryHeads * sizeof(float);

    /// <summary>Bytes of an item's part of the payload.</summary>
    /// <param name="gatherRows">Rows (n) of each KV head of a gather.</param>
    public long PayloadBytes(int gatherRows) => Mode switch
    {
        RecallMode.Attend => OutputBytes + LseBytes,
        RecallMode.Gather => (long)KvHeads * gatherRows * TokenBytes,
        _ => 0,
    };
}
