namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Stores blocks.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="statuses">Takes the outcome of each block; empty when the caller does not care, else at least as long as
    /// <paramref name="blocks"/>.</param>
    /// <param name="options">How; the default value asks for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be stored all the same.</param>
    public ValueTask<Result<PutSummary>> PutAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses = default, PutOptions options = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Stores one block.</summary>
    /// <param name="key">The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes.</param>
    /// <param name="payload">The bytes.</param>
    /// <param name="options">How; the default value asks for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait. The block may be stored all the same.</param>
    /// <returns>Stored or present; the error when it was refused or is not as durable as was asked.</returns>
    public ValueTask<Result<PutStatus>> PutAsync(
        ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, PutOptions options = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();
}
