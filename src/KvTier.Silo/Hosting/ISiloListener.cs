using System.Net;

namespace KvTier.Silo;

/// <summary>A listener of the silo: the native ones and RESP2.</summary>
internal interface ISiloListener : IAsyncDisposable
{
    /// <summary>Where it listens; known after <see cref="Bind"/>.</summary>
    EndPoint EndPoint { get; }

    /// <summary>Binds. Who connects waits for <see cref="Accept"/>.</summary>
    /// <returns>Null, or why it can't: address, port or path that can't be bound.</returns>
    KvError? Bind();

    /// <summary>Starts to accept.</summary>
    void Accept();

    /// <summary>
    /// Stops accepting, refuses new requests with <see cref="ErrorCode.ShuttingDown"/>, and waits until those in flight are answered.
    /// </summary>
    /// <returns>False when the deadline passed first.</returns>
    Task<bool> DrainAsync(TimeSpan deadline);
}
