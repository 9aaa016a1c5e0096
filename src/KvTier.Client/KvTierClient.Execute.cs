using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Client.Requests;
using Polly;
using Polly.CircuitBreaker;

namespace KvTier.Client;

public sealed partial class KvTierClient
{
    /// <summary>True when blocks of a mean size should go through shared memory.</summary>
    internal bool PrefersLocal(long bytes, int count) => options.Transport switch
    {
        TransportMode.Wire => false,
        TransportMode.Local => true,
        _ => Silo is { IsLocal: true } && bytes >= (long)options.LocalBytesMin * count,
    };

    /// <summary>When an operation ends that may take a time; zero for the client's default.</summary>
    internal long DeadlineOf(TimeSpan timeout) => ClientClock.After(time, timeout > TimeSpan.Zero ? timeout : options.RequestTimeout);

    /// <summary>The time until a deadline, negative when it has passed.</summary>
    internal TimeSpan Until(long deadline) => ClientClock.Until(time, deadline);

    /// <summary>Sends a request and waits for the answer, with retries.</summary>
    /// <returns>Null when the request holds its answer.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<KvError?> ExecuteAsync(Request request, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        cancellationToken.ThrowIfCancellationRequested();
        request.Deadline = ClientClock.After(time, timeout > TimeSpan.Zero ? timeout : options.RequestTimeout);
        KvError? error = pipeline is null
            ? await TryAsync(request, cancellationToken).ConfigureAwait(false)
            : await ExecuteResilientAsync(pipeline, request, cancellationToken).ConfigureAwait(false);
        if (error is null) return null;
        if (ReferenceEquals(error, Request.Cancelled)) throw new OperationCanceledException(cancellationToken);
        Metrics.Failed(error.Code);
        return error;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<KvError?> ExecuteResilientAsync(
        ResiliencePipeline<KvError?> resilient, Request request, CancellationToken cancellationToken)
    {
        ResilienceContext context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(Resilience.RequestKey, request);
        Outcome<KvError?> outcome = await resilient.ExecuteOutcomeAsync(
            static async (context, state) =>
                Outcome.FromResult<KvError?>(await state.Client.TryAsync(state.Request, context.CancellationToken).ConfigureAwait(false)),
            context,
            (Client: this, Request: request)).ConfigureAwait(false);
        ResilienceContextPool.Shared.Return(context);
        return outcome.Exception switch
        {
            null => outcome.Result,
            BrokenCircuitException =>
                new KvError(ErrorCode.Unavailable, "circuit", "open", $"tries again after {options.Resilience.BreakerPause}"),
            OperationCanceledException => Request.Cancelled,
            var other => new KvError(ErrorCode.Internal, "client", other.ToString()),
        };
    }

    /// <summary>Tries a request once.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<KvError?> TryAsync(Request request, CancellationToken cancellationToken)
    {
        Connection? connection = request.Pinned;
        if (connection is null)
        {
            Result<Connection> found = await pool.GetAsync(request.Deadline, cancellationToken).ConfigureAwait(false);
            if (!found.TryGet(out connection, out KvError? unreachable)) return unreachable;
        }

        if (request.NeedsLocal && connection.Local is null)
            return new KvError(ErrorCode.Unsupported, "transport", options.Endpoint,
                "a Unix socket of a silo that offers its arena to this user");
        if (request.Check(connection.Limits) is { } refused) return refused;
        ushort handle = 0;
        if (request.Namespace is { } ns && !connection.TryGetHandle(ns, out handle))
        {
            using var open = new NamespaceOpenExchange(ns.Descriptor);
            open.Deadline = request.Deadline;
            if (await connection.RoundTripAsync(open, 0, cancellationToken).ConfigureAwait(false) is { } unopened) return unopened;
            if (open.Response!.Fingerprint != ns.Id)
                return new KvError(ErrorCode.NamespaceMismatch, "namespace.fingerprint", $"{open.Response.Fingerprint}", $"{ns.Id}");
            handle = open.Response.Handle;
            connection.SetHandle(ns, handle);
        }

        KvError? error = await connection.RoundTripAsync(request, handle, cancellationToken).ConfigureAwait(false);
        if (error is { Code: ErrorCode.NamespaceUnknown } && request.Namespace is { } stale) connection.ForgetHandle(stale);
        return error;
    }
}
