using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device;

/// <summary>Finds a shared library by several names, without an exception when it is not there.</summary>
internal static class NativeLibraryLoader
{
    /// <summary>Loads the first that loads.</summary>
    /// <returns>0 when none does.</returns>
    public static nint TryLoad(IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library)) return library;
        }

        return 0;
    }

    /// <summary>Finds functions by name.</summary>
    /// <param name="library">The library.</param>
    /// <param name="names">Their names.</param>
    /// <param name="found">Their addresses, in the same order.</param>
    /// <returns>Null when all are there, else the first that is not.</returns>
    public static string? FindAll(nint library, ReadOnlySpan<string> names, Span<nint> found)
    {
        for (int i = 0; i < names.Length; i++)
        {
            if (!NativeLibrary.TryGetExport(library, names[i], out found[i])) return names[i];
        }

        return null;
    }
}
