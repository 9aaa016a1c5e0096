using KvTier.Client.Metrics;
using KvTier.Client.Requests;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;

namespace KvTier.Client.Connections;

/// <summary>Builds what stands around every operation: retries outside, the circuit breaker inside.</summary>
internal static class Resilience
{
    /// <summary>The request that a try is about.</summary>
    public static readonly ResiliencePropertyKey<Request> RequestKey = new("kvtier.request");

    /// <summary>Builds the pipeline.</summary>
    /// <returns>Null when it is switched off.</returns>
    public static ResiliencePipeline<KvError?>? Build(ResilienceOptions options, TimeProvider time, ClientMetrics metrics)
    {
        if (!options.Enabled || (options.RetriesMax == 0 && !options.BreakerEnabled)) return null;
        var builder = new ResiliencePipelineBuilder<KvError?> { TimeProvider = time };
        if (options.RetriesMax > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<KvError?>
            {
                MaxRetryAttempts = options.RetriesMax,
                DelayGenerator = args => new(Delay(options, args.AttemptNumber, args.Context, time)),
                ShouldHandle = args => new(MayRetry(args.Outcome.Result, args.Context, options.RetryDelay, time)),
                OnRetry = _ =>
                {
                    metrics.Retried();
                    return default;
                },
            });
        }

        if (options.BreakerEnabled)
        {
            builder.AddCircuitBreaker(new CircuitBreakerStrategyOptions<KvError?>
            {
                FailureRatio = options.BreakerFailureRatio,
                MinimumThroughput = options.BreakerTriesMin,
                SamplingDuration = options.BreakerWindow,
                BreakDuration = options.BreakerPause,
                ShouldHandle = static args => new(args.Outcome.Result is { Code: ErrorCode.Unavailable or ErrorCode.DeadlineExceeded }),
            });
        }

        return builder.Build();
    }

    /// <summary>The pause before a retry: doubled each time, half of it random, and never past the operation's deadline.</summary>
    private static TimeSpan? Delay(ResilienceOptions options, int attempt, ResilienceContext context, TimeProvider time)
    {
        double ms = Math.Min(options.RetryDelay.TotalMilliseconds * Math.Pow(2, attempt), options.RetryDelayMax.TotalMilliseconds);
        ms *= 0.5 + (Random.Shared.NextDouble() / 2);
        if (context.Properties.TryGetValue(RequestKey, out Request? request))
            ms = Math.Min(ms, ClientClock.Until(time, request.Deadline).TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Max(ms, 0));
    }

    /// <summary>True for failures of which the next try may know nothing, when there is time for one.</summary>
    private static bool MayRetry(KvError? error, ResilienceContext context, TimeSpan delay, TimeProvider time)
    {
        if (error is not { Code: ErrorCode.Unavailable or ErrorCode.Busy or ErrorCode.ShuttingDown or ErrorCode.NamespaceUnknown })
            return false;
        if (!context.Properties.TryGetValue(RequestKey, out Request? request) || request.Pinned is not null) return false;

        // What was on its way when the connection broke may have been done.
        if (error.Code == ErrorCode.Unavailable && !request.IsRepeatable && request.Answered is not null) return false;
        return ClientClock.Until(time, request.Deadline) > delay;
    }
}
