namespace KvTier.Kernels;

/// <summary>Looks at stored elements before and after they are read by the faster of the two ways.</summary>
internal static class ElementScan<TLanes, TVector, TElement>
    where TLanes : struct, ILanes<TVector>
    where TVector : struct
    where TElement : struct, IElement
{
    /// <summary>False when the first elements have denormals among them. The faster way multiplies these as fp32 denormals, and the
    /// processor is slow at that (75 ns for each on a Cascade Lake): right, but slow. So a sample decides; the result is the same either
    /// way.</summary>
    internal static bool LooksPlain(ref byte source, nint bytes)
    {
        if (!TElement.HasSpecials) return true;
        nint width = TLanes.Count * sizeof(float);
        if (bytes < width) return false;
        TVector smallest = TLanes.CreateBits(-1);
        nint sample = Math.Min(bytes, 512);
        for (nint i = 0; i <= sample - width; i += width)
            smallest = TElement.SmallerMagnitude<TLanes, TVector>(smallest, ref Unsafe.Add(ref source, i));
        return !TElement.IsDenormal<TLanes, TVector>(smallest);
    }

    /// <summary>True when there is an infinity or a NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool AnySpecial(ref byte source, nint bytes)
    {
        if (!TElement.HasSpecials) return false;
        nint width = TLanes.Count * sizeof(float);
        if (bytes < width) return true;
        TVector largest = TLanes.Create(0);
        TVector second = largest;
        nint i = 0;
        for (; i <= bytes - (2 * width); i += 2 * width)
        {
            largest = TElement.LargerMagnitude<TLanes, TVector>(largest, ref Unsafe.Add(ref source, i));
            second = TElement.LargerMagnitude<TLanes, TVector>(second, ref Unsafe.Add(ref source, i + width));
        }

        if (i <= bytes - width) largest = TElement.LargerMagnitude<TLanes, TVector>(largest, ref Unsafe.Add(ref source, i));
        second = TElement.LargerMagnitude<TLanes, TVector>(second, ref Unsafe.Add(ref source, bytes - width));
        return TElement.IsSpecial<TLanes, TVector>(largest) || TElement.IsSpecial<TLanes, TVector>(second);
    }
}
