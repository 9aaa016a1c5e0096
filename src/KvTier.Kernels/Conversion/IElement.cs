namespace KvTier.Kernels;

/// <summary>A stored element type, as the kernels read it.</summary>
internal interface IElement
{
    /// <summary>Bytes of an element.</summary>
    static abstract int Size { get; }

    /// <summary>True where <see cref="LoadFinite"/> is wrong for infinity and NaN, and slow for denormals.</summary>
    static abstract bool HasSpecials { get; }

    /// <summary>Loads as many elements as there are lanes, as fp32.</summary>
    static abstract TVector Load<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>The same, faster, where there is no infinity and no NaN.</summary>
    static abstract TVector LoadFinite<TLanes, TVector>(ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>The larger magnitudes, element by element, of those so far and a vector full of stored elements.</summary>
    static abstract TVector LargerMagnitude<TLanes, TVector>(TVector largest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>The smaller magnitudes less 1 (so that 0 counts as the largest), element by element.</summary>
    static abstract TVector SmallerMagnitude<TLanes, TVector>(TVector smallest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>True when one of the largest magnitudes means infinity or NaN.</summary>
    static abstract bool IsSpecial<TLanes, TVector>(TVector largest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>True when one of the smallest magnitudes less 1 is that of a denormal.</summary>
    static abstract bool IsDenormal<TLanes, TVector>(TVector smallest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;

    /// <summary>Loads one element: what the readable reference says.</summary>
    static abstract float LoadOne(ref byte source);
}

/// <summary>An element type that widens without a special case.</summary>
/// <typeparam name="TSelf">The element type.</typeparam>
internal interface IPlainElement<TSelf> : IElement
    where TSelf : struct, IPlainElement<TSelf>
{
    static bool IElement.HasSpecials => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static TVector IElement.LoadFinite<TLanes, TVector>(ref byte source) => TSelf.Load<TLanes, TVector>(ref source);

    static TVector IElement.LargerMagnitude<TLanes, TVector>(TVector largest, ref byte source) => largest;

    static TVector IElement.SmallerMagnitude<TLanes, TVector>(TVector smallest, ref byte source) => smallest;

    static bool IElement.IsSpecial<TLanes, TVector>(TVector largest) => false;

    static bool IElement.IsDenormal<TLanes, TVector>(TVector smallest) => false;
}
