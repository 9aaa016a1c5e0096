namespace KvTier.Silo.Clustering;

/// <summary>The way to one silo: short calls and blocks in lanes of their own, so that neither waits for the other.</summary>
internal sealed class PeerLink : IDisposable
{
    /// <summary>Connections for membership, whose answers must not wait for anything.</summary>
    private const int UrgentMax = 2;

    /// <summary>Connections for calls of the data path.</summary>
    private const int CallsMax = 8;

    /// <summary>Connections for blocks that are pushed.</summary>
    private const int PushesMax = 4;

    private readonly PeerBreaker breaker;

    /// <summary>Makes a link; nothing is connected yet.</summary>
    public PeerLink(PeerDial dial, SiloEntry to)
    {
        To = to;
        breaker = new PeerBreaker(dial.Time);
        Urgent = new PeerLane(dial, to, UrgentMax, breaker);
        Calls = new PeerLane(dial, to, CallsMax, breaker);
        Pushes = new PeerLane(dial, to, PushesMax, breaker);
    }

    /// <summary>The silo.</summary>
    public SiloEntry To { get; }

    /// <summary>For membership.</summary>
    public PeerLane Urgent { get; }

    /// <summary>For other calls.</summary>
    public PeerLane Calls { get; }

    /// <summary>For blocks.</summary>
    public PeerLane Pushes { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Urgent.Dispose();
        Calls.Dispose();
        Pushes.Dispose();
    }
}
