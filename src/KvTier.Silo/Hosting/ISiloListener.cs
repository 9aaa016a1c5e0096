using System.Net;

namespace KvTier.Silo;

/// <summary>A listener of the silo: the native ones and RESP2.</summary>
internal interface ISiloListener : IAsyncDisposable
{
    /// <summary>Where it listens; known after <see cref="Start"/>.</summary>
    EndPoint EndPoint { get; }

    /// <summary>Binds and starts to accept.</summary>
    /// <returns>Null, or why it can't: address, port or path that can't be bound.</returns>
    KvError? Start();

    /// <summary>
    /// Stops accepting, refuses new requests with <see cref="ErrorCode.ShuttingDown"/>, and waits until those in flight are answered.
    /// </summary>
    /// <returns>False when the deadline passed first.</returns>
    Task<bool> DrainAsync(TimeSpan deadline);
}
