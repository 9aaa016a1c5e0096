using KvTier.Client.Requests;

namespace KvTier.Client.Routing;

/// <summary>The part of a call that goes to one silo. Kept by its call for further use.</summary>
internal abstract class RoutedPart
{
    private int[] places = [];

    /// <summary>The silo.</summary>
    public SiloLink Link { get; private set; } = null!;

    /// <summary>What it says to the cluster.</summary>
    public RouteContext Route { get; private set; }

    /// <summary>Blocks of the part.</summary>
    public int Count { get; private set; }

    /// <summary>For each, its place in the call.</summary>
    public ReadOnlySpan<int> Places => places.AsSpan(0, Count);

    /// <summary>Why the silo did not answer; null when it did.</summary>
    public KvError? Error { get; set; }

    /// <summary>What it said beside the blocks.</summary>
    public RouteAnswer Answer { get; } = new();

    /// <summary>The request on its way.</summary>
    public ValueTask<KvError?> Running { get; set; }

    /// <summary>Begins a part for a silo.</summary>
    /// <param name="link">The silo.</param>
    /// <param name="route">What it says to the cluster.</param>
    /// <param name="room">Most blocks it may get.</param>
    public void Begin(SiloLink link, RouteContext route, int room)
    {
        Clear();
        Link = link;
        Route = route;
        Count = 0;
        Error = null;
        Answer.Epoch = 0;
        Answer.Copies = 0;
        if (places.Length >= room) return;
        places = new int[room];
        Grow(room);
    }

    /// <summary>Adds a block by its place in the call.</summary>
    /// <returns>Its place in the part.</returns>
    public int Add(int place)
    {
        places[Count] = place;
        return Count++;
    }

    /// <summary>Forgets the caller's memory.</summary>
    public virtual void Clear() => Link = null!;

    /// <summary>Makes room for so many blocks.</summary>
    protected abstract void Grow(int room);
}
