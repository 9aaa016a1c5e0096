namespace KvTier.Kernels;

/// <summary>Looks for NaN and infinity in stored rows: a chunk with one is not scored but always read.</summary>
public static class RowCheck
{
    /// <summary>True when every element is a finite number. Runs at the speed of memory; allocates nothing.</summary>
    /// <param name="dtype">Element type, any but raw; int8 is always finite.</param>
    /// <param name="rows">The elements.</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    public static bool AllFinite(Dtype dtype, ReadOnlySpan<byte> rows)
    {
        if (dtype == Dtype.Raw) throw new NotSupportedException(dtype.Name());
        if (dtype == Dtype.Int8) return true;
        if (Lanes512.IsSupported) return AllFinite<Lanes512, Vector512<float>>(dtype, rows);
        if (Lanes256.IsSupported) return AllFinite<Lanes256, Vector256<float>>(dtype, rows);
        if (Lanes128.IsSupported) return AllFinite<Lanes128, Vector128<float>>(dtype, rows);
        return AllFiniteScalar(dtype, rows);
    }

    internal static bool AllFinite<TLanes, TVector>(Dtype dtype, ReadOnlySpan<byte> rows)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int width = TLanes.Count * sizeof(float);
        ref byte first = ref MemoryMarshal.GetReference(rows);
        TVector largest = TLanes.Create(0);
        int i = 0;
        for (; i <= rows.Length - width; i += width) largest = Larger<TLanes, TVector>(dtype, largest, ref Unsafe.Add(ref first, i));
        return !AnyAbove<TLanes, TVector>(dtype, largest) && AllFiniteScalar(dtype, rows[i..]);
    }

    private static bool AllFiniteScalar(Dtype dtype, ReadOnlySpan<byte> rows)
    {
        for (int i = 0; i < rows.Length / dtype.SizeBytes(); i++)
        {
            if (!float.IsFinite(ScalarConvert.Read(dtype, rows, i))) return false;
        }

        return true;
    }

    /// <summary>Magnitudes compare as integers: the patterns of infinity and NaN are above those of all numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Larger<TLanes, TVector>(Dtype dtype, TVector largest, ref byte source)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        if (dtype != Dtype.Float32)
        {
            return dtype is Dtype.Float16 or Dtype.BFloat16
                ? TLanes.MaxMagnitude16(largest, ref source)
                : TLanes.MaxMagnitude8(largest, ref source);
        }

        TVector magnitude = TLanes.And(TLanes.Load(ref Unsafe.As<byte, float>(ref source)), TLanes.CreateBits(0x7FFFFFFF));
        return TLanes.Select(TLanes.GreaterBits(magnitude, largest), magnitude, largest);
    }

    private static bool AnyAbove<TLanes, TVector>(Dtype dtype, TVector largest)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => dtype switch
        {
            Dtype.Float32 => TLanes.Mask(TLanes.GreaterBits(largest, TLanes.CreateBits(0x7F7FFFFF))) != 0,
            Dtype.Float16 => TLanes.AnyAbove16(largest, 0x7BFF),
            Dtype.BFloat16 => TLanes.AnyAbove16(largest, 0x7F7F),
            Dtype.Float8E5M2 => TLanes.AnyAbove8(largest, 0x7B),
            _ => TLanes.AnyAbove8(largest, 0x7E),
        };
}
