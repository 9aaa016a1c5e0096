using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvTierClient
{
    /// <summary>The map of the cluster that the silo is in.</summary>
    /// <param name="knownEpoch">Epoch of the map that the caller has; 0 for none.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The silo's epoch, 0 when it is in no cluster, and its map when that is newer.</returns>
    public async ValueTask<Result<ClusterMapResponse>> ClusterMapAsync(
        long knownEpoch = 0, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(knownEpoch);
        using var ask = new ClusterMapExchange(knownEpoch);
        if (await ExecuteAsync(ask, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return ask.Response!;
    }

    /// <summary>The state of the cluster as one JSON object.</summary>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The JSON; <see cref="ErrorCode.Unsupported"/> from a silo that is in no cluster.</returns>
    public async ValueTask<Result<string>> ClusterStatusAsync(TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        using var ask = new ClusterStatusExchange();
        if (await ExecuteAsync(ask, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return ask.Json;
    }

    /// <summary>Has the cluster do what an operator asks.</summary>
    /// <param name="verb">Such as <c>drain</c>.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. It may be done all the same.</param>
    /// <returns>What became of it, as one JSON object.</returns>
    public async ValueTask<Result<string>> ClusterAdminAsync(
        string verb, IReadOnlyList<string> arguments, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(verb);
        ArgumentNullException.ThrowIfNull(arguments);
        using var ask = new ClusterAdminExchange(verb, arguments);
        if (await ExecuteAsync(ask, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
        return ask.Json;
    }
}
