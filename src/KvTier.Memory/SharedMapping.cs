namespace KvTier.Memory;

/// <summary>A silo's arena, mapped by a client on the same machine.</summary>
public sealed class SharedMapping : IDisposable
{
    /// <summary>Maps an arena and checks that its nonce is the one the silo named.</summary>
    public static Result<SharedMapping> Open(SharedArenaInfo info) => throw new NotImplementedException();

    /// <summary>Bytes of the arena. No allocation.</summary>
    public Memory<byte> Slice(long offset, int length) => throw new NotImplementedException();

    /// <summary>Unmaps the arena; slices of it must not be used any more.</summary>
    public void Dispose() => throw new NotImplementedException();
}
