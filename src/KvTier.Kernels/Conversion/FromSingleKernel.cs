namespace KvTier.Kernels;

/// <summary>fp32 to elements, with the widest vectors there are; the last few one by one.</summary>
internal static class FromSingleKernel
{
    internal static void Run<TNarrowing>(ReadOnlySpan<float> source, Span<byte> destination)
        where TNarrowing : struct, INarrowing
    {
        if (Lanes512.IsSupported) Run<Lanes512, Vector512<float>, TNarrowing>(source, destination);
        else if (Lanes256.IsSupported) Run<Lanes256, Vector256<float>, TNarrowing>(source, destination);
        else if (Lanes128.IsSupported) Run<Lanes128, Vector128<float>, TNarrowing>(source, destination);
        else RunScalar<TNarrowing>(source, destination, 0);
    }

    /// <summary>Multiplies by a factor first.</summary>
    internal static void RunScaled<TNarrowing>(ReadOnlySpan<float> source, float factor, Span<byte> destination)
        where TNarrowing : struct, INarrowing
    {
        Span<float> piece = stackalloc float[128];
        for (int i = 0; i < source.Length; i += piece.Length)
        {
            int count = Math.Min(piece.Length, source.Length - i);
            source.Slice(i, count).CopyTo(piece);
            foreach (ref float value in piece[..count]) value *= factor;
            Run<TNarrowing>(piece[..count], destination.Slice(i * TNarrowing.Size, count * TNarrowing.Size));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Run<TLanes, TVector, TNarrowing>(ReadOnlySpan<float> source, Span<byte> destination)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TNarrowing : struct, INarrowing
    {
        ref float from = ref MemoryMarshal.GetReference(source);
        ref byte to = ref MemoryMarshal.GetReference(destination);
        int i = 0;
        for (; i <= source.Length - TLanes.Count; i += TLanes.Count)
        {
            TVector codes = TNarrowing.Narrow<TLanes, TVector>(TLanes.Load(ref Unsafe.Add(ref from, i)));
            ref byte at = ref Unsafe.Add(ref to, i * TNarrowing.Size);
            if (TNarrowing.Size == 2) TLanes.Store16(codes, ref at);
            else TLanes.Store8(codes, ref at);
        }

        RunScalar<TNarrowing>(source, destination, i);
    }

    internal static void RunScalar<TNarrowing>(ReadOnlySpan<float> source, Span<byte> destination, int first)
        where TNarrowing : struct, INarrowing
    {
        ref byte to = ref MemoryMarshal.GetReference(destination);
        for (int i = first; i < source.Length; i++) TNarrowing.StoreOne(source[i], ref Unsafe.Add(ref to, i * TNarrowing.Size));
    }
}
