using System.Numerics;
using System.Runtime.InteropServices;

namespace KvTier.Kernels.Device;

/// <summary>A list of scores to choose from: some neighbours in an array of scores.</summary>
/// <param name="First">First score.</param>
/// <param name="Count">Scores; 0 is allowed.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct ScoreList(int First, int Count);

/// <summary>One top-K in scratch: its lists, then room for the keys of the best.</summary>
internal readonly struct TopKPlan
{
    /// <summary>Most that can be chosen from one list.</summary>
    public const int KMax = 65_536;

    /// <summary>Lanes of a list's group; <c>SELECT_LANES</c> in <c>select.cl</c>.</summary>
    private const int Lanes = 256;

    private readonly long listsAt;
    private readonly int lists;
    private readonly int k;

    private TopKPlan(long listsAt, int lists, int k)
    {
        this.listsAt = listsAt;
        this.lists = lists;
        this.k = k;
    }

    /// <summary>Keys of one list: the sort wants a power of two.</summary>
    private int Pitch => (int)BitOperations.RoundUpToPowerOf2((uint)k);

    /// <summary>Checks lists and K against the scores there are.</summary>
    public static KvError? Validate(ReadOnlySpan<ScoreList> lists, int k, long scores, int indices, int values)
    {
        if (k is < 1 or > KMax) return KvError.InvalidArgument("topK.k", k, $"1 to {KMax}");
        foreach (ScoreList list in lists)
        {
            if (list.First < 0 || list.Count < 0 || list.First > scores - list.Count)
                return KvError.InvalidArgument("topK.list", $"{list.First} + {list.Count}", $"inside {scores} scores");
        }

        if (indices != (long)lists.Length * k) return KvError.InvalidArgument("topK.indices", indices, $"{lists.Length} x {k}");
        return values != indices && values != 0 ? KvError.InvalidArgument("topK.values", values, $"0 or {indices}") : null;
    }

    /// <summary>Lays the lists out and fills them in.</summary>
    public static Result<TopKPlan> Make(Scratch scratch, ReadOnlySpan<ScoreList> lists, int k)
    {
        long place = scratch.Take<ScoreList>(lists.Length);
        if (scratch.Overflow is { } overflow) return overflow;
        lists.CopyTo(scratch.Host<ScoreList>(place, lists.Length));
        return new TopKPlan(place, lists.Length, k);
    }

    /// <summary>Makes room for the answer; after all inputs.</summary>
    public long TakeKeys(Scratch scratch) => scratch.Take<ulong>((long)lists * Pitch);

    /// <summary>Runs the kernel as the last of a request and fetches the answer.</summary>
    public KvError? Run(DeviceSession session, long scoresAt, long keysAt, Span<int> indices, Span<float> values)
    {
        ReadOnlySpan<KernelArgument> arguments = [session.Scratch.Buffer, scoresAt, listsAt, keysAt, k, Pitch];
        var launch = new KernelLaunch
        {
            Kernel = DeviceKernel.TopK,
            Dtype = Dtype.Raw,
            Groups = lists,
            GroupSize = Lanes,
            Arguments = arguments,
            WantsToken = true,
        };
        KvError? error = session.Finish(launch) ?? session.Download(keysAt, (long)lists * Pitch * sizeof(ulong));
        if (error is not null) return error;
        Span<ulong> keys = session.Scratch.Host<ulong>(keysAt, lists * Pitch);
        for (int list = 0; list < lists; list++)
        {
            Span<ulong> best = keys.Slice(list * Pitch, k);
            for (int i = 0; i < k; i++)
            {
                indices[(list * k) + i] = best[i] == 0 ? -1 : (int)(uint.MaxValue - (uint)best[i]);
                if (!values.IsEmpty) values[(list * k) + i] = best[i] == 0 ? float.NaN : ScoreOf((uint)(best[i] >> 32));
            }
        }

        return null;
    }

    /// <summary>The score that a key's upper half stands for; the inverse of <c>order_of</c> in <c>select.cl</c>.</summary>
    private static float ScoreOf(uint order) =>
        BitConverter.UInt32BitsToSingle((order & 0x8000_0000) != 0 ? order & 0x7fff_ffff : ~order);
}
