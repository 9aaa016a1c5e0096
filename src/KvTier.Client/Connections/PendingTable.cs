using KvTier.Client.Requests;

namespace KvTier.Client.Connections;

/// <summary>
/// The requests that a connection waits for, found by their id: a number of a place in the table and a count that tells its uses apart.
/// Thread-safe.
/// </summary>
internal sealed class PendingTable
{
    private readonly Lock gate = new();
    private readonly Place[] places;
    private readonly Stack<int> free;
    private ulong uses;
    private bool closed;

    public PendingTable(int capacity)
    {
        places = new Place[capacity];
        free = new Stack<int>(capacity);
        for (int i = capacity - 1; i >= 0; i--) free.Push(i);
    }

    /// <summary>Requests in flight, those that nobody waits for any more included.</summary>
    public int Count
    {
        get
        {
            lock (gate) return places.Length - free.Count;
        }
    }

    /// <summary>Gives a request a place. The caller holds a permit, so that there is one.</summary>
    /// <returns>The request's id; 0 when the connection has ended.</returns>
    public ulong Reserve()
    {
        lock (gate)
        {
            if (closed) return 0;
            int place = free.Pop();
            ulong id = (++uses << 16) | (uint)place;
            places[place] = new Place(id, null, 0);
            return id;
        }
    }

    /// <summary>Puts a request into its place, before it is sent.</summary>
    /// <returns>False when the connection has ended.</returns>
    public bool TrySet(ulong id, Request request)
    {
        lock (gate)
        {
            if (closed) return false;
            places[(int)(id & 0xFFFF)] = new Place(id, request, request.ItemCount);
            return true;
        }
    }

    /// <summary>Finds what waits for an answer.</summary>
    /// <param name="id">The answer's id.</param>
    /// <param name="request">The request; null when nobody waits for it any more.</param>
    /// <param name="items">Blocks of the request.</param>
    /// <returns>False when no such request is in flight.</returns>
    public bool TryFind(ulong id, out Request? request, out int items)
    {
        lock (gate)
        {
            Place place = At(id);
            items = place.Items;
            request = place.Request;
            return place.Id == id && id != 0;
        }
    }

    /// <summary>Keeps a request's place for the late answer, but forgets the request.</summary>
    public void Abandon(ulong id)
    {
        lock (gate)
        {
            Place place = At(id);
            if (place.Id == id) places[(int)(id & 0xFFFF)] = place with { Request = null };
        }
    }

    /// <summary>Frees a place.</summary>
    /// <returns>False when it was free.</returns>
    public bool Remove(ulong id)
    {
        lock (gate)
        {
            if (At(id).Id != id) return false;
            places[(int)(id & 0xFFFF)] = default;
            free.Push((int)(id & 0xFFFF));
            return true;
        }
    }

    /// <summary>Takes every request out, and takes no more.</summary>
    public List<Request> TakeAll()
    {
        lock (gate)
        {
            closed = true;
            var all = new List<Request>();
            for (int i = 0; i < places.Length; i++)
            {
                if (places[i].Id == 0) continue;
                if (places[i].Request is { } request) all.Add(request);
                places[i] = default;
                free.Push(i);
            }

            return all;
        }
    }

    private Place At(ulong id) => (int)(id & 0xFFFF) < places.Length ? places[(int)(id & 0xFFFF)] : default;

    private readonly record struct Place(ulong Id, Request? Request, int Items);
}
