namespace KvTier.Recall;

/// <summary>
/// What a part is of: 64 bits over its blocks, their positions and checks, and its tokens. A part is asked for by its stamp, so that one
/// that was built for other blocks is never taken for it, whoever had it built.
/// </summary>
internal struct PartStamp
{
    private ulong chain;

    /// <summary>Begins with what holds for all blocks.</summary>
    internal static PartStamp Begin(IReadOnlyList<DigestSpec> specs, RopeRotation? rotation)
    {
        var bytes = new byte[ManifestFormat.ShapeBytes(specs.Count)];
        ManifestFormat.WriteShape(bytes, specs, rotation);
        return new PartStamp { chain = Crc32C.Compute(bytes) };
    }

    /// <summary>Adds a block.</summary>
    internal void Add(int position, in SequenceBlock block)
    {
        chain = Mix(chain ^ block.Id.High);
        chain = Mix(chain ^ block.Id.Low);
        chain = Mix(chain ^ (((ulong)(uint)position << 32) | block.PayloadCrc));
    }

    /// <summary>The stamp of what was added.</summary>
    /// <param name="lastTokens">Tokens in the last block.</param>
    internal readonly ulong End(int lastTokens) => Mix(chain ^ (ulong)lastTokens);

    /// <summary>The finalizer of SplitMix64.</summary>
    private static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15UL;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9UL;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EBUL;
        return value ^ (value >> 31);
    }
}
