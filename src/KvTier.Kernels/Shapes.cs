namespace KvTier.Kernels;

/// <summary>Checks of spans at the public edge; inside, the kernels read without bounds checks.</summary>
internal static class Shapes
{
    /// <summary>Throws when a span is shorter than the shape needs, or the shape is negative.</summary>
    internal static void Require(long length, long needed, string name)
    {
        if (needed < 0 || length < needed) Throw(length, needed, name);
    }

    private static void Throw(long length, long needed, string name) =>
        throw new ArgumentException($"{name} has {length} elements where the shape needs {needed}", name);
}
