namespace KvTier.Cluster;

/// <summary>
/// Keeps the newest state: never an older epoch after a newer one, and calls back in order. Thread-safe; callbacks run outside of its lock,
/// one
/// at a time.
/// </summary>
/// <param name="empty">The state before the first one.</param>
/// <param name="authority">Is told of each state before anyone else sees it.</param>
/// <param name="time">The clock.</param>
internal sealed class StateKeeper(ClusterState empty, Authority authority, MonotonicClock time)
{
    private readonly Lock gate = new();
    private readonly Queue<(ClusterMap Before, ClusterMap After)> changes = [];
    private readonly List<(long Epoch, TaskCompletionSource Reached)> waiters = [];
    private volatile ClusterState state = empty;
    private bool calling;

    /// <summary>The newest state.</summary>
    public ClusterState State => state;

    /// <summary>Is called after each change of the map.</summary>
    public Action<ClusterMap, ClusterMap>? OnMap { get; set; }

    /// <summary>Is called after each state, changed map or not.</summary>
    public Action? OnState { get; set; }

    /// <summary>Takes a state over, unless it is older than the newest one.</summary>
    public void TakeOver(ClusterState next)
    {
        lock (gate)
        {
            ClusterState before = state;
            if (next.Map.Epoch < before.Map.Epoch) return;
            if (next.Map.Epoch == before.Map.Epoch)
            {
                if (next.Revision <= before.Revision) return;
                next = next with { Map = before.Map };
            }

            authority.Update(next, time.Now);
            state = next;
            if (next.Map.Epoch > before.Map.Epoch) changes.Enqueue((before.Map, next.Map));
            foreach ((long epoch, TaskCompletionSource reached) in waiters)
            {
                if (epoch <= next.Map.Epoch) reached.TrySetResult();
            }
        }

        CallBack();
    }

    /// <summary>Waits until the map is of an epoch or later.</summary>
    /// <returns>False when the time passed first.</returns>
    public async ValueTask<bool> WaitAsync(long epoch, TimeSpan longest)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (state.Map.Epoch >= epoch) return true;
            waiters.Add((epoch, reached));
        }

        await time.WaitAsync(reached, longest);
        lock (gate)
        {
            waiters.RemoveAll(waiter => waiter.Reached == reached);
            return state.Map.Epoch >= epoch;
        }
    }

    private void CallBack()
    {
        while (true)
        {
            (ClusterMap Before, ClusterMap After) change;
            lock (gate)
            {
                if (calling || !changes.TryDequeue(out change)) break;
                calling = true;
            }

            try
            {
                OnMap?.Invoke(change.Before, change.After);
            }
            finally
            {
                lock (gate) calling = false;
            }
        }

        OnState?.Invoke();
    }
}
