namespace KvTier.Kernels;

/// <summary>Σ x.</summary>
internal readonly struct SumStep : IColumnStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.Add(soFar, value);

    public static float Next(float soFar, float value, float centre) => soFar + value;
}

/// <summary>The smallest.</summary>
internal readonly struct MinStep : IColumnStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.Min(value, soFar);

    public static float Next(float soFar, float value, float centre) => value < soFar ? value : soFar;
}

/// <summary>The largest.</summary>
internal readonly struct MaxStep : IColumnStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.Select(TLanes.Less(soFar, value), value, soFar);

    public static float Next(float soFar, float value, float centre) => value > soFar ? value : soFar;
}

/// <summary>Σ |x - centre|.</summary>
internal readonly struct DeviationStep : IColumnStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector difference = TLanes.Subtract(value, centre);
        return TLanes.Add(soFar, TLanes.And(difference, TLanes.CreateBits(0x7FFFFFFF)));
    }

    public static float Next(float soFar, float value, float centre) => soFar + MathF.Abs(value - centre);
}

/// <summary>Σ (x - centre)².</summary>
internal readonly struct SquareStep : IColumnStep
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Next<TLanes, TVector>(TVector soFar, TVector value, TVector centre)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector difference = TLanes.Subtract(value, centre);
        return TLanes.MultiplyAdd(difference, difference, soFar);
    }

    public static float Next(float soFar, float value, float centre) => soFar + ((value - centre) * (value - centre));
}
