namespace KvTier.Client.Routing;

/// <summary>Bounds the share of gets that are asked twice, and lets a few through in a row. Thread-safe.</summary>
internal sealed class HedgeBudget(double share)
{
    private const double Most = 8;

    private readonly Lock gate = new();
    private double left = Most;

    /// <summary>A get begins.</summary>
    public void Earn()
    {
        lock (gate) left = Math.Min(Most, left + share);
    }

    /// <summary>Takes the right to ask a second silo.</summary>
    public bool TrySpend()
    {
        lock (gate)
        {
            if (left < 1) return false;
            left--;
            return true;
        }
    }
}
