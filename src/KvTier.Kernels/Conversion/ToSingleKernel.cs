namespace KvTier.Kernels;

/// <summary>Elements to fp32, with the widest vectors there are; the last few one by one.</summary>
internal static class ToSingleKernel
{
    internal static void Run<TElement>(ReadOnlySpan<byte> source, Span<float> destination)
        where TElement : struct, IElement
    {
        if (Lanes512.IsSupported) Run<Lanes512, Vector512<float>, TElement>(source, destination);
        else if (Lanes256.IsSupported) Run<Lanes256, Vector256<float>, TElement>(source, destination);
        else if (Lanes128.IsSupported) Run<Lanes128, Vector128<float>, TElement>(source, destination);
        else RunScalar<TElement>(source, destination, 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Run<TLanes, TVector, TElement>(ReadOnlySpan<byte> source, Span<float> destination)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TElement : struct, IElement
    {
        ref byte from = ref MemoryMarshal.GetReference(source);
        ref float to = ref MemoryMarshal.GetReference(destination);
        int i = 0;
        for (; i <= destination.Length - TLanes.Count; i += TLanes.Count)
            TLanes.Store(TElement.Load<TLanes, TVector>(ref Unsafe.Add(ref from, i * TElement.Size)), ref Unsafe.Add(ref to, i));
        RunScalar<TElement>(source, destination, i);
    }

    internal static void RunScalar<TElement>(ReadOnlySpan<byte> source, Span<float> destination, int first)
        where TElement : struct, IElement
    {
        ref byte from = ref MemoryMarshal.GetReference(source);
        for (int i = first; i < destination.Length; i++) destination[i] = TElement.LoadOne(ref Unsafe.Add(ref from, i * TElement.Size));
    }
}
