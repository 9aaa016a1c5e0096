using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvTier.Cli;

/// <summary>The bytes that a block of a workload has, made of a seed: every 8 bytes depend on the seed and on their place.</summary>
internal static class BlockContent
{
    private const ulong Step = 0x9E3779B97F4A7C15;
    private const ulong Mix = 0xD6E8FEB86659FD93;

    /// <summary>The seed of a block: two blocks of different ids have different bytes.</summary>
    public static ulong SeedOf(BlockId id) => id.High ^ (id.Low * Mix);

    /// <summary>Writes a block's bytes.</summary>
    public static void Fill(Span<byte> destination, ulong seed)
    {
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(destination);
        ulong state = seed;
        for (int i = 0; i < words.Length; i++)
        {
            state += Step;
            words[i] = Word(state);
        }

        Span<byte> rest = destination[(words.Length * 8)..];
        ulong last = Word(state + Step);
        for (int i = 0; i < rest.Length; i++) rest[i] = (byte)(last >> (8 * i));
    }

    /// <summary>Compares every byte.</summary>
    /// <returns>The place of the first wrong 8 bytes; -1 when all are right.</returns>
    public static int FirstWrong(ReadOnlySpan<byte> bytes, ulong seed)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        ulong state = seed;
        for (int i = 0; i < words.Length; i++)
        {
            state += Step;
            if (words[i] != Word(state)) return i * 8;
        }

        ReadOnlySpan<byte> rest = bytes[(words.Length * 8)..];
        ulong last = Word(state + Step);
        for (int i = 0; i < rest.Length; i++)
        {
            if (rest[i] != (byte)(last >> (8 * i))) return (words.Length * 8) + i;
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Word(ulong state) => (state ^ (state >> 32)) * Mix;
}
