namespace KvTier.Cluster;

/// <summary>
/// Decides whether a silo may change things as an owner. A pure state machine: it is told what happened and when by the silo's own
/// monotonic clock (<c>now</c>, counted from any origin), and asks nobody.
/// </summary>
/// <remarks>
/// Two things must hold. First a right to speak at all: the lease, counted from when its last renewal was sent, less a margin; or, while
/// the
/// engine is away, the word of every other silo that this one knows of (<see cref="Confirmations"/>). Second, for groups that came with the
/// newest
/// map: that every other silo has that map too (<see cref="Takeover"/>). Thread-safe; reading is one volatile read.
/// </remarks>
internal sealed class Authority
{
    private readonly Lock gate = new();
    private readonly string self;
    private readonly TimeSpan ttl;
    private readonly Confirmations confirmations;
    private readonly Takeover takeover;
    private TimeSpan renewedAt = TimeSpan.MinValue;
    private ClusterMap map;
    private SiloEntry? entry;
    private long joined;
    private long heard;
    private bool leaving;
    private volatile Grant grant = Grant.None;

    /// <summary>Makes an authority of a silo that is no member yet.</summary>
    /// <param name="self">Name of the silo.</param>
    /// <param name="ttl">How long its lease lasts without a renewal.</param>
    /// <param name="empty">The map before the first one.</param>
    public Authority(string self, TimeSpan ttl, ClusterMap empty)
    {
        this.self = self;
        this.ttl = ttl;
        map = empty;
        confirmations = new Confirmations(self, ttl);
        takeover = new Takeover(self);
    }

    /// <summary>How much earlier than its lease a silo stops, for clocks that run at different speeds: a tenth of the lease.</summary>
    public TimeSpan Margin => ttl / 10;

    /// <summary>True while the silo may change any group that its map gives it.</summary>
    public bool MayWrite(TimeSpan now) => grant.Holds(now) && grant.IsSettled(now);

    /// <summary>True while the silo may change a group that its map gives it.</summary>
    public bool MayWriteTo(BlockId group, TimeSpan now)
    {
        Grant current = grant;
        return current.Holds(now) && (current.IsSettled(now) || current.WasOwnedAllAlong(self, group));
    }

    /// <summary>The lease was granted or renewed.</summary>
    /// <param name="sent">When the request was sent.</param>
    public void Renewed(TimeSpan sent)
    {
        lock (gate)
        {
            if (sent > renewedAt) renewedAt = sent;
            Decide();
        }
    }

    /// <summary>The lease has run out: nothing may be changed before the silo has joined anew.</summary>
    public void LeaseLost()
    {
        lock (gate)
        {
            renewedAt = TimeSpan.MinValue;
            joined = 0;
            entry = null;
            Decide();
        }
    }

    /// <summary>The silo has begun to leave: it changes nothing any more and confirms nobody.</summary>
    public void Leaving()
    {
        lock (gate)
        {
            leaving = true;
            Decide();
        }
    }

    /// <summary>The silo has become a member.</summary>
    /// <param name="epoch">Epoch in which it joined; the map of it, or a later one, is told before or after.</param>
    /// <param name="now">The time.</param>
    public void Joined(long epoch, TimeSpan now)
    {
        lock (gate)
        {
            joined = epoch;
            entry = FindEntry();
            if (entry is not null) takeover.Change(map, map, sameStart: false, now, Free(now));
            Decide();
        }
    }

    /// <summary>A newer state was taken over.</summary>
    public void Update(ClusterState state, TimeSpan now)
    {
        lock (gate)
        {
            confirmations.Forget(state);
            if (state.Map.Epoch > map.Epoch) Change(state.Map, now);
            foreach (SiloEntry silo in entry is null ? [] : takeover.Missing(map).ToArray())
            {
                if (state.Loads.TryGetValue(silo.Name, out SiloLoad? load)) takeover.Acknowledge(map, silo.Name, load.Epoch, now);
            }

            Decide();
        }
    }

    /// <summary>Somebody spoke of an epoch: one that is newer than this silo's map ends what rests on confirmations.</summary>
    /// <returns>True when it is newer than the map.</returns>
    public bool Hear(long epoch)
    {
        lock (gate)
        {
            if (epoch <= heard) return epoch > map.Epoch;
            heard = epoch;
            Decide();
            return true;
        }
    }

    /// <summary>A silo that is no member yet says that it is about to join: from now on its word is asked too.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="revision">A revision at which it was registered.</param>
    public void Meet(string name, long revision)
    {
        lock (gate)
        {
            confirmations.Meet(name, revision);
            Decide();
        }
    }

    /// <summary>Confirms another silo, if that is right: both have the same newest map, in which the other is.</summary>
    /// <param name="to">Its name.</param>
    /// <param name="joined">Epoch in which it joined.</param>
    /// <param name="epoch">Its epoch.</param>
    /// <param name="now">The time.</param>
    /// <returns>How long it may count on that; zero for not at all.</returns>
    public TimeSpan Confirm(string to, long joined, long epoch, TimeSpan now)
    {
        lock (gate)
        {
            int index = map.IndexOf(to);
            bool right = entry is not null && !leaving && epoch == map.Epoch && heard == epoch && index >= 0
                && map.Silos[index].JoinedEpoch == joined;
            return right ? confirmations.Give(map, now) : TimeSpan.Zero;
        }
    }

    /// <summary>Another silo has confirmed this one.</summary>
    /// <param name="by">Its name.</param>
    /// <param name="epoch">The epoch that was asked about.</param>
    /// <param name="sent">When it was asked.</param>
    /// <param name="life">How long that counts; zero or less when it has refused.</param>
    public void Confirmed(string by, long epoch, TimeSpan sent, TimeSpan life)
    {
        lock (gate)
        {
            if (epoch != map.Epoch) return;
            confirmations.Take(by, sent, life);
            Decide();
        }
    }

    /// <summary>Another silo has told its epoch.</summary>
    /// <param name="by">Its name.</param>
    /// <param name="epoch">Its epoch.</param>
    /// <param name="left">How long confirmations that it gave may still be counted on.</param>
    /// <param name="now">The time.</param>
    public void Acknowledged(string by, long epoch, TimeSpan left, TimeSpan now)
    {
        lock (gate)
        {
            if (entry is null) return;
            takeover.Acknowledge(map, by, epoch, now + left);
            Decide();
        }
    }

    /// <summary>
    /// True while the silo is a member whose lease was last renewed so long ago that it needs the word of the others soon.
    /// </summary>
    public bool NeedsConfirmations(TimeSpan now)
    {
        lock (gate) return entry is not null && !leaving && renewedAt != TimeSpan.MinValue && now >= renewedAt + ttl * (2.0 / 3);
    }

    /// <summary>The silos that have not told yet that they have a map in which this one owns what it does.</summary>
    public IReadOnlyList<SiloEntry> Unacknowledged
    {
        get
        {
            lock (gate) return entry is null ? [] : [.. takeover.Missing(map)];
        }
    }

    /// <summary>This silo's entry in the newest map; null while it is no member.</summary>
    public SiloEntry? Entry
    {
        get
        {
            lock (gate) return entry;
        }
    }

    /// <summary>The highest epoch that was heard of.</summary>
    public long Heard
    {
        get
        {
            lock (gate) return heard;
        }
    }

    /// <summary>True when all others knew at some time since this silo joined what it owned then.</summary>
    public bool HasSettled(TimeSpan now)
    {
        lock (gate) return entry is not null && takeover.HasSettled(now);
    }

    /// <summary>How long confirmations that were given may still be counted on.</summary>
    public TimeSpan GivenLeft(TimeSpan now)
    {
        lock (gate) return confirmations.GivenLeft(now);
    }

    private void Change(ClusterMap next, TimeSpan now)
    {
        ClusterMap before = map;
        SiloEntry? entryBefore = entry;
        map = next;
        entry = FindEntry();
        heard = Math.Max(heard, map.Epoch);
        confirmations.Clear();
        takeover.Change(before, map, sameStart: entry is not null && entryBefore is not null, now, Free(now));
    }

    private SiloEntry? FindEntry() =>
        joined > 0 && map.IndexOf(self) is >= 0 and var index && map.Silos[index].JoinedEpoch == joined ? map.Silos[index] : null;

    /// <summary>When nobody counts on a word of this silo any more.</summary>
    private TimeSpan Free(TimeSpan now) => now + confirmations.GivenLeft(now);

    private void Decide()
    {
        TimeSpan until = TimeSpan.MinValue;
        if (entry is not null && !leaving && renewedAt != TimeSpan.MinValue)
        {
            until = renewedAt + ttl - Margin;
            if (heard == map.Epoch && confirmations.Until(map) is var confirmed && confirmed > until) until = confirmed;
        }

        grant = new Grant(until, takeover.SettledFrom, takeover.OwnedIn);
    }
}
