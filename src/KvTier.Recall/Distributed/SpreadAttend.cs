using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Merges what the parts attended to: M = max lse, w = e^(lse - M), o = Σ w·o / Σ w. Nothing at all gives zeros.</summary>
internal static class SpreadAttend
{
    /// <summary>Writes o <c>[W, Hq, D]</c> and lse <c>[W, Hq]</c>, fp32.</summary>
    internal static void Write(SpreadItem item, RecallRequest request, Span<byte> target)
    {
        Span<float> all = MemoryMarshal.Cast<byte, float>(target);
        int queries = request.Window * request.QueryHeads;
        Span<float> output = all[..^queries];
        Span<float> lse = all[^queries..];
        output.Clear();
        lse.Fill(float.NegativeInfinity);
        foreach (PartAnswerItem? answer in item.Answers)
        {
            if (answer is null || answer.Payload.Length != target.Length) continue;
            ReadOnlySpan<float> part = MemoryMarshal.Cast<byte, float>(answer.Payload.Span);
            AttentionMerge.Into(output, lse, part[..^queries], part[^queries..]);
        }

        foreach (ref float value in lse) value *= request.LseMultiplier;
    }
}
