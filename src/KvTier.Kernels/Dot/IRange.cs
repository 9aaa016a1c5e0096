namespace KvTier.Kernels;

/// <summary>What a kernel may assume of the elements it reads.</summary>
internal interface IRange
{
    static abstract bool FiniteOnly { get; }
}

/// <summary>There is no infinity and no NaN.</summary>
internal readonly struct Finite : IRange
{
    public static bool FiniteOnly => true;
}

/// <summary>Anything may be there.</summary>
internal readonly struct Any : IRange
{
    public static bool FiniteOnly => false;
}
