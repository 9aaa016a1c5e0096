using System.Numerics;

namespace KvTier.Recall;

/// <summary>Refuses requests that can't be answered, naming the field.</summary>
internal static class RecallChecks
{
    /// <summary>Checks what does not depend on the sequences.</summary>
    internal static KvError? Check(RecallRequest request, ModelProfile profile, RecallOptions options)
    {
        if (!Enum.IsDefined(request.Mode)) return KvError.InvalidArgument("mode", request.Mode, "ids, gather or attend");
        if (!Enum.IsDefined(request.Layout)) return KvError.InvalidArgument("layout", request.Layout, "a gather layout");
        if (request.QueryHeads < 1 || request.QueryHeads % profile.KvHeads != 0)
            return KvError.InvalidArgument("queryHeads", request.QueryHeads, $"a multiple of the profile's {profile.KvHeads} KV heads");
        if (request.QueryHeads > 1 << 16) return KvError.LimitExceeded("queryHeads", request.QueryHeads, 1 << 16);
        if (request.Window is < 1 or > 4096) return KvError.InvalidArgument("window", request.Window, "1 to 4096");
        if (!float.IsFinite(request.Temperature) || request.Temperature <= 0)
            return KvError.InvalidArgument("temperature", request.Temperature, "above 0, finite");
        if (!float.IsFinite(request.LseMultiplier) || request.LseMultiplier <= 0)
            return KvError.InvalidArgument("lseMultiplier", request.LseMultiplier, "above 0, finite");
        if (request.Items.Count < 1) return KvError.InvalidArgument("items", 0, "1 or more");
        if (request.Items.Count > options.ItemsMax) return KvError.LimitExceeded("items", request.Items.Count, options.ItemsMax);
        if (request.Selector.Validate(profile) is { } wrong) return wrong;
        for (int i = 0; i < request.Items.Count; i++)
        {
            if (CheckItem(request, request.Items[i], i, profile) is { } wrongItem) return wrongItem;
        }

        return null;
    }

    /// <summary>Checks what depends on the sequence of an item.</summary>
    internal static KvError? CheckBudget(RecallRequest request, SequenceState state)
    {
        RecallBudget budget = request.Selector.Budget;
        return budget is { Kind: BudgetKind.Tokens, OrAll: false } && budget.Value > state.Tokens
            ? KvError.InvalidArgument("selector.budget", budget.Value, $"1 to the sequence's tokens, {state.Tokens}")
            : null;
    }

    private static KvError? CheckItem(RecallRequest request, RecallItem item, int index, ModelProfile profile)
    {
        if (item.Layer < 0 || item.Layer >= profile.Layers)
            return KvError.InvalidArgument($"items[{index}].layer", item.Layer, $"0 to {profile.Layers - 1}");
        long length = (long)request.Window * request.QueryHeads * profile.HeadDim;
        if (item.Queries.Length != length)
        {
            return KvError.InvalidArgument(
                $"items[{index}].queries", $"{item.Queries.Length} floats",
                $"{length}: window {request.Window}, query heads {request.QueryHeads}, dim {profile.HeadDim}");
        }

        int wrong = FirstNotFinite(item.Queries.Span);
        if (wrong >= 0)
            return KvError.InvalidArgument($"items[{index}].queries[{wrong}]", item.Queries.Span[wrong], "finite");
        return CheckHeld(item, index, profile.KvHeads);
    }

    private static KvError? CheckHeld(RecallItem item, int index, int kvHeads)
    {
        if (item.Held.Length % kvHeads != 0)
        {
            return KvError.InvalidArgument(
                $"items[{index}].held", $"{item.Held.Length} slots", $"as many for each of {kvHeads} KV heads");
        }

        int slots = item.Held.Length / kvHeads;
        var seen = new HashSet<int>();
        for (int i = 0; i < item.Held.Length; i++)
        {
            if (i % slots == 0) seen.Clear();
            int unit = item.Held.Span[i];
            if (unit < -1) return KvError.InvalidArgument($"items[{index}].held[{i}]", unit, "a unit, or -1 for none");
            if (unit >= 0 && !seen.Add(unit)) return KvError.InvalidArgument($"items[{index}].held[{i}]", unit, "each unit once");
        }

        return null;
    }

    /// <summary>A number is finite when it minus itself is zero.</summary>
    private static int FirstNotFinite(ReadOnlySpan<float> values)
    {
        int i = 0;
        for (; i + Vector<float>.Count <= values.Length; i += Vector<float>.Count)
        {
            var some = new Vector<float>(values[i..]);
            if (!Vector.EqualsAll(some - some, Vector<float>.Zero)) break;
        }

        for (; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i])) return i;
        }

        return -1;
    }
}
