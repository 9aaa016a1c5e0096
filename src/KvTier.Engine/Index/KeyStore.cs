namespace KvTier.Engine;

/// <summary>
/// The keys of the blocks, in native memory: pieces of 8, 16, ... bytes, cut one after another and used again by size. Not thread-safe.
/// </summary>
internal sealed unsafe class KeyStore : IDisposable
{
    /// <summary>Keys are handed out in units of this many bytes; a handle counts units.</summary>
    internal const int UnitBytes = 8;

    private readonly ReservedArray<ulong> units;
    private readonly uint[] free;
    private uint top = 1;

    /// <summary>Makes an empty store.</summary>
    /// <param name="keyBytesMax">Longest key.</param>
    internal KeyStore(int keyBytesMax)
    {
        units = new ReservedArray<ulong>(uint.MaxValue);
        free = new uint[UnitsOf(keyBytesMax) + 1];
    }

    /// <summary>Bytes of native memory that keys take now or took before and may take again.</summary>
    internal long NativeBytes => units.Pointer == null ? 0 : top * (long)UnitBytes;

    /// <summary>Bytes of the keys that are stored, as they were given.</summary>
    internal long KeyBytes { get; private set; }

    /// <summary>Stores a key.</summary>
    /// <returns>Its handle; 0 for an empty key.</returns>
    internal uint Add(ReadOnlySpan<byte> key)
    {
        int size = UnitsOf(key.Length);
        if (size == 0) return 0;
        uint handle = free[size];
        if (handle != 0)
        {
            free[size] = (uint)units[handle];
        }
        else
        {
            if (top > uint.MaxValue - (uint)size) throw new KvException(KvError.LimitExceeded("key store units", top, uint.MaxValue));
            handle = top;
            top += (uint)size;
        }

        key.CopyTo(new Span<byte>(units.Pointer + handle, key.Length));
        KeyBytes += key.Length;
        return handle;
    }

    /// <summary>The bytes of a key; valid until it is removed.</summary>
    internal ReadOnlySpan<byte> Get(uint handle, int length) => new(units.Pointer + handle, length);

    /// <summary>Gives a key's room back.</summary>
    internal void Remove(uint handle, int length)
    {
        if (handle == 0) return;
        int size = UnitsOf(length);
        units[handle] = free[size];
        free[size] = handle;
        KeyBytes -= length;
    }

    /// <inheritdoc/>
    public void Dispose() => units.Dispose();

    private static int UnitsOf(int length) => (length + UnitBytes - 1) / UnitBytes;
}
