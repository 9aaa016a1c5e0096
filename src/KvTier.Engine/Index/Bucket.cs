using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Engine;

/// <summary>
/// A cache line of the hash table: twelve entry numbers, a tag byte for each, and the next line when twelve are not enough.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = SizeBytes)]
internal unsafe struct Bucket
{
    internal const int SizeBytes = 64;
    internal const int Places = 12;

    private const int TagsOffset = Places * sizeof(uint);
    private const uint PlacesMask = (1u << Places) - 1;

    /// <summary>Entry numbers; 0 is an empty place.</summary>
    [FieldOffset(0)]
    internal fixed uint Entries[Places];

    /// <summary>Tags; 0 is an empty place.</summary>
    [FieldOffset(TagsOffset)]
    internal fixed byte Tags[Places];

    /// <summary>Number of the overflow bucket that continues this one; 0 for none.</summary>
    [FieldOffset(TagsOffset + Places)]
    internal uint Overflow;

    /// <summary>A bit for each place whose tag is <paramref name="tag"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static uint Match(Bucket* bucket, byte tag)
    {
        // The load takes the overflow number with it; the mask drops its bits.
        Vector128<byte> tags = Vector128.Load((byte*)bucket + TagsOffset);
        return Vector128.Equals(tags, Vector128.Create(tag)).ExtractMostSignificantBits() & PlacesMask;
    }

    /// <summary>A bit for each place that is taken.</summary>
    internal static uint Taken(Bucket* bucket) => ~Match(bucket, 0) & PlacesMask;
}
