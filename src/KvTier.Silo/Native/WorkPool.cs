using System.Collections.Concurrent;

namespace KvTier.Silo.Native;

/// <summary>
/// Objects of one connection that are used again. Thread-safe; it never holds more than there were requests in flight at one time.
/// </summary>
internal sealed class WorkPool<T>
    where T : class, new()
{
    private readonly ConcurrentQueue<T> free = new();

    /// <summary>Takes one, made if there is none.</summary>
    public T Rent() => free.TryDequeue(out T? work) ? work : new T();

    /// <summary>Gives one back.</summary>
    public void Return(T work) => free.Enqueue(work);
}
