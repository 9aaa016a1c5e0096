using System.Runtime.InteropServices;

namespace KvTier.Protocol;

/// <summary>The arguments of one command; grows with what was received, never with what was announced, and is used again.</summary>
internal sealed class RespArguments
{
    /// <summary>Entries kept for the next command; more are given up after a large one.</summary>
    private const int KeptMax = 16_384;

    private readonly List<RespArgument> list = new(16);

    public int Count => list.Count;

    public ReadOnlySpan<RespArgument> Span => CollectionsMarshal.AsSpan(list);

    public void Add(RespArgument argument) => list.Add(argument);

    public void Clear()
    {
        list.Clear();
        if (list.Capacity > KeptMax) list.Capacity = 16;
    }
}
