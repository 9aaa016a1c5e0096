namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Fetches blocks, or ranges of them, into buffers of the caller. Bytes that fail their check are a miss with reason
    /// <see cref="MissReason.Corrupt"/>; what the destination of a miss holds afterwards is undefined.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="results">Takes the answer to each block; at least as long as <paramref name="blocks"/>.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    public ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Fetches one block, or a range of it, into a buffer of the caller.</summary>
    /// <param name="block">The block.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    public ValueTask<Result<BlockResult>> GetAsync(GetBlock block, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Fetches a block into a new array, for callers that do not know its length; takes two round trips in an opaque namespace.</summary>
    /// <param name="id">The block.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    /// <returns>The answer, and the bytes when it is a hit (empty otherwise).</returns>
    public ValueTask<Result<(BlockResult Answer, byte[] Bytes)>> GetArrayAsync(
        BlockId id, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();
}
