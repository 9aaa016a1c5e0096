namespace KvTier.Client.Requests;

/// <summary>Keeps requests for further use. Thread-safe.</summary>
/// <typeparam name="T">Kind of request.</typeparam>
internal sealed class RequestPool<T>
    where T : Request, new()
{
    private const int KeptMax = 64;

    private readonly Stack<T> kept = new();
    private bool disposed;

    public T Rent()
    {
        lock (kept)
        {
            if (kept.TryPop(out T? request)) return request;
        }

        return new T();
    }

    public void Return(T request)
    {
        request.Clear();
        lock (kept)
        {
            if (!disposed && kept.Count < KeptMax)
            {
                kept.Push(request);
                return;
            }
        }

        request.Dispose();
    }

    public void Dispose()
    {
        lock (kept)
        {
            disposed = true;
            while (kept.TryPop(out T? request)) request.Dispose();
        }
    }
}
