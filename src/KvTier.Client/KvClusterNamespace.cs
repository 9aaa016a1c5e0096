using System.Runtime.CompilerServices;
using KvTier.Client.Requests;
using KvTier.Client.Routing;
using KvTier.Protocol;

namespace KvTier.Client;

/// <summary>
/// A namespace of a cluster: the verbs of <see cref="KvNamespace"/>, each block sent to the silo that owns its group. Thread-safe; made by
/// <see cref="KvClusterClient.OpenNamespaceAsync"/>.
/// </summary>
/// <remarks>
/// <para>A block must be asked for with the group that it was put with. Where none is given, a block is a group of its own; the blocks of
/// a prefix should get theirs from <see cref="BlockGroups.Fill"/>, so that they lie together and are asked for together.</para>
/// <para>A call follows the cluster as it changes, until its time is over; then it ends with <see cref="ErrorCode.DeadlineExceeded"/>.
/// While a silo is down, gets and the like ask the next holder at once, and what no holder has is a miss with reason
/// <see cref="MissReason.OwnerLost"/>; puts and changes wait for the next owner. A get that no silo answered at all is an error.</para>
/// <para>Memory and errors are as with <see cref="KvNamespace"/>.</para>
/// </remarks>
public sealed partial class KvClusterNamespace
{
    private readonly CallPool<PutCall> puts = new();
    private readonly CallPool<GetCall> gets = new();
    private readonly CallPool<IdsCall> idsCalls = new();
    private readonly CallPool<PrefixCall> prefixes = new();
    private readonly CallPool<DescribeCall> describes = new();

    internal KvClusterNamespace(KvClusterClient client, NamespaceDescriptor descriptor, int index)
    {
        Client = client;
        Descriptor = descriptor;
        Id = descriptor.Id;
        Index = index;
    }

    /// <summary>Tenant and profile.</summary>
    public NamespaceDescriptor Descriptor { get; }

    /// <summary>The fingerprint.</summary>
    public NamespaceId Id { get; }

    /// <summary>Bytes of every block; 0 for opaque, where each block has its own length.</summary>
    public long BlockBytes => Descriptor.Profile.BlockBytes;

    internal KvClusterClient Client { get; }

    /// <summary>The client's number of this namespace, counted from 0.</summary>
    internal int Index { get; }

    /// <summary>The id of a key.</summary>
    /// <exception cref="ArgumentException">The key is empty or longer than <see cref="Limits.KeyBytesMax"/> of the defaults.</exception>
    public BlockId IdOf(ReadOnlySpan<byte> key)
    {
        if (key.IsEmpty || key.Length > Limits.Default.KeyBytesMax)
            throw new ArgumentException($"A key has 1 to {Limits.Default.KeyBytesMax} bytes; this one has {key.Length}.", nameof(key));
        return BlockId.Compute(Id, key);
    }

    /// <summary>Stores blocks on their owners.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="statuses">Takes the outcome of each block; empty when the caller does not care, else at least as long as
    /// <paramref name="blocks"/>.</param>
    /// <param name="options">How; the default value asks for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be stored all the same.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<PutSummary>> PutAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses = default, PutOptions options = default,
        CancellationToken cancellationToken = default)
    {
        CheckRoom(statuses.Length, blocks.Length, nameof(statuses), optional: true);
        Client.CheckOpen();
        if (blocks.IsEmpty) return default(PutSummary);
        PutCall call = puts.Rent();
        try
        {
            return await call.PutAsync(this, blocks, statuses, options, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            puts.Return(call);
        }
    }

    /// <summary>Fetches blocks, or ranges of them, into buffers of the caller. Bytes that fail their check are a miss with reason
    /// <see cref="MissReason.Corrupt"/>; what the destination of a miss holds afterwards is undefined.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="results">Takes the answer to each block; at least as long as <paramref name="blocks"/>.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        CheckRoom(results.Length, blocks.Length, nameof(results), optional: false);
        Client.CheckOpen();
        if (blocks.IsEmpty) return default(GetSummary);
        GetCall call = gets.Rent();
        try
        {
            return await call.GetAsync(this, blocks, results, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            gets.Return(call);
        }
    }

    /// <summary>Fetches a block into a new array, for callers that do not know its length; takes two round trips in an opaque
    /// namespace.</summary>
    /// <param name="id">The block.</param>
    /// <param name="group">Its group; none when it is a group of its own.</param>
    /// <param name="timeout">How long each get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    /// <returns>The answer, and the bytes when it is a hit (empty otherwise).</returns>
    public async ValueTask<Result<(BlockResult Answer, byte[] Bytes)>> GetArrayAsync(
        BlockId id, BlockId group = default, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        // In an opaque namespace the first get tells the length: an empty range of a block is answered without its bytes.
        byte[] bytes = new byte[BlockBytes];
        var results = new BlockResult[1];
        for (int round = 0; round < 2; round++)
        {
            GetBlock[] blocks = [new GetBlock(id, bytes, Group: group)];
            Result<GetSummary> answer = await GetAsync(blocks, results, timeout, cancellationToken).ConfigureAwait(false);
            if (answer.Error is { } error) return error;
            if (results[0].Status != BlockStatus.DestinationTooSmall) break;
            bytes = new byte[results[0].BlockLength];
        }

        return (results[0], results[0].IsHit ? bytes : []);
    }

    internal static void CheckRoom(int room, int needed, string name, bool optional)
    {
        if (room < needed && !(optional && room == 0)) throw new ArgumentException($"Needs room for {needed}; has {room}.", name);
    }

    /// <summary>Has one silo open the namespace.</summary>
    internal async ValueTask<KvError?> PingAsync(CancellationToken cancellationToken)
    {
        KvError? last = null;
        SiloLink[] links = [.. Client.Table.Links];
        Random.Shared.Shuffle(links);
        foreach (SiloLink link in links)
        {
            if (link.NamespaceOf(this) is not { } ns) continue;
            using var ping = new PingExchange { Namespace = ns };
            last = await link.ExecuteAsync(ping, default, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            if (last is null or { Code: ErrorCode.NamespaceMismatch or ErrorCode.InvalidArgument }) return last;
        }

        return last;
    }
}
