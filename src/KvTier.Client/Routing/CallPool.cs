namespace KvTier.Client.Routing;

/// <summary>Keeps calls for further use. Thread-safe.</summary>
/// <typeparam name="T">Kind of call.</typeparam>
internal sealed class CallPool<T>
    where T : class, new()
{
    private const int KeptMax = 16;

    private readonly Stack<T> kept = new();

    public T Rent()
    {
        lock (kept) return kept.TryPop(out T? call) ? call : new T();
    }

    public void Return(T call)
    {
        lock (kept)
        {
            if (kept.Count < KeptMax) kept.Push(call);
        }
    }
}
