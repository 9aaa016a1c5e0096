using System.Runtime.CompilerServices;
using KvTier.Client.Connections;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>
/// A call about many blocks: splits them by silo, asks all silos at once, and routes what is left anew, by a newer map where there is one,
/// until all is done or the time is over. Used again for later calls.
/// </summary>
/// <typeparam name="TPart">What goes to one silo.</typeparam>
internal abstract class RoutedCall<TPart>
    where TPart : RoutedPart, new()
{
    private readonly List<TPart> parts = [];
    private BlockId[] groups = [];
    private byte[] tries = [];
    private byte[] firsts = [];
    private bool[] done = [];
    private int count;
    private int used;
    private bool needsMap;
    private bool waits;
    private bool answered;
    private int lostBlocks;
    private SiloLink? knows;
    private KvError? last;

    /// <summary>The client of the cluster.</summary>
    protected KvClusterClient Client { get; private set; } = null!;

    /// <summary>The namespace.</summary>
    protected KvClusterNamespace Namespace { get; private set; } = null!;

    /// <summary>The map of this round.</summary>
    protected RouteTable Table { get; private set; } = null!;

    /// <summary>When the call must be over.</summary>
    protected long Deadline { get; private set; }

    /// <summary>True when another holder may be asked in place of the owner.</summary>
    protected virtual bool IsRead => false;

    /// <summary>Group of each block.</summary>
    protected ReadOnlySpan<BlockId> Groups => groups.AsSpan(0, count);

    /// <summary>Parts of this round.</summary>
    protected IReadOnlyList<TPart> Parts => parts;

    /// <summary>Begins a call.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="blocks">Number of blocks.</param>
    protected void Begin(KvClusterNamespace ns, int blocks)
    {
        Namespace = ns;
        Client = ns.Client;
        count = blocks;
        used = 0;
        answered = false;
        lostBlocks = 0;
        last = null;
        if (groups.Length < blocks)
        {
            groups = new BlockId[blocks];
            tries = new byte[blocks];
            firsts = new byte[blocks];
            done = new bool[blocks];
        }

        Array.Clear(tries, 0, blocks);
        Array.Clear(done, 0, blocks);
    }

    /// <summary>Says which group a block is of.</summary>
    protected void SetGroup(int place, BlockId group) => groups[place] = group;

    /// <summary>Runs the call.</summary>
    /// <returns>Null when every block is done.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled; nothing is on its way any more.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected async ValueTask<KvError?> RunAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(timeout, TimeSpan.Zero);
        cancellationToken.ThrowIfCancellationRequested();
        TimeSpan longest = timeout > TimeSpan.Zero ? timeout : Client.RequestTimeout;
        Deadline = ClientClock.After(Client.Time, longest);
        int pauses = 0;
        for (int round = 0; ; round++)
        {
            // By another map the holders are others, or stand in another order.
            if (Client.Table != Table) Array.Clear(tries, 0, count);
            Table = Client.Table;
            (needsMap, waits, knows) = (false, false, null);
            Assign();
            TimeSpan tryTimeout = Client.TryTimeout(round, Deadline);
            for (int i = 0; i < used; i++) parts[i].Running = SendAsync(parts[i], tryTimeout, cancellationToken);
            for (int i = 0; i < used; i++) parts[i].Error = await parts[i].Running.ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            for (int i = 0; i < used; i++) SettlePart(parts[i]);
            if (FatalError() is { } fatal) return fatal;
            EndRound();
            int left = done.AsSpan(0, count).Count(false);
            if (left == 0) return Ending(longest);
            Client.Metrics.Rerouted(left);
            if (ClientClock.Until(Client.Time, Deadline) <= TimeSpan.Zero) return Overdue(left, longest);
            if (!needsMap && !waits) continue;
            bool changed = needsMap && await Client.RefreshAsync(Table, knows, Deadline, cancellationToken).ConfigureAwait(false);
            if (changed) pauses = 0;
            else await Client.PauseAsync(pauses++, Deadline, cancellationToken).ConfigureAwait(false);
            if (ClientClock.Until(Client.Time, Deadline) <= TimeSpan.Zero) return Overdue(left, longest);
        }
    }

    /// <summary>Puts a block into a part.</summary>
    protected abstract void Add(TPart part, int place);

    /// <summary>Sends a part.</summary>
    /// <returns>Null when its answer is there.</returns>
    protected abstract ValueTask<KvError?> SendAsync(TPart part, TimeSpan timeout, CancellationToken cancellationToken);

    /// <summary>Takes over what a silo answered: <see cref="Done"/>, <see cref="Moved"/> or <see cref="TryNext"/> for each block.</summary>
    protected abstract void Settle(TPart part);

    /// <summary>No holder of a block could be asked.</summary>
    protected virtual void Lost(int place) => throw new InvalidOperationException("Only reads end without an answer.");

    /// <summary>All parts of a round are settled.</summary>
    protected virtual void EndRound()
    {
    }

    /// <summary>A block has its answer.</summary>
    protected void Done(int place) => done[place] = true;

    /// <summary>True when a block has its answer.</summary>
    protected bool IsDone(int place) => done[place];

    /// <summary>A silo says that a block is another's.</summary>
    protected void Moved(TPart part)
    {
        needsMap = true;
        if (part.Answer.Epoch > Table.Epoch) knows = part.Link;
        last = new KvError(ErrorCode.Moved, $"silo {part.Link.Name}", $"epoch {part.Answer.Epoch}", $"the owner by epoch {Table.Epoch}");
    }

    /// <summary>A silo can't do what is asked of it now; another one may, or the same one later.</summary>
    protected void NotYet(KvError error)
    {
        Note(error);
        needsMap |= error.Code is not ErrorCode.Busy;
        waits = true;
    }

    /// <summary>True for failures after which a newer map, another silo or a later try may do.</summary>
    protected static bool IsPassing(KvError error) => error.Code is ErrorCode.Unavailable or ErrorCode.ShuttingDown
        or ErrorCode.DeadlineExceeded or ErrorCode.Moved or ErrorCode.Fenced or ErrorCode.Busy or ErrorCode.NamespaceUnknown
        or ErrorCode.Conflict;

    /// <summary>A silo that was asked in the owner's place does not have a block.</summary>
    protected void TryNext(int place)
    {
        // The owner is asked in any case, even if it has turned out meanwhile that a group is not hot any more. By a map that came while
        // they were asked, the holders are others: a silo that has left it ended what was on its way.
        tries[place]++;
        if (tries[place] >= Math.Max(HoldersOf(groups[place]), firsts[place] + 1) && Client.Table == Table) EndLost(place);
    }

    /// <summary>Number of silos that may be asked for a block.</summary>
    protected int HoldersOf(BlockId group) =>
        Math.Min(Table.Links.Length, Math.Max(Table.Map.Settings.ReplicasOf(Namespace.Descriptor), Client.CopiesOf(group)));

    /// <summary>Forgets the caller's memory.</summary>
    protected virtual void Clear()
    {
        foreach (TPart part in parts) part.Clear();
        Namespace = null!;
        Table = null!;
        last = null;
        knows = null;
    }

    /// <summary>Puts each block that is left into the part of the silo to ask.</summary>
    private void Assign()
    {
        used = 0;
        TPart? part = null;
        (BlockId Group, byte Tries, byte First) same = default;
        for (int i = 0; i < count; i++)
        {
            if (done[i]) continue;
            if (part is not null && same.Group == groups[i] && same.Tries == tries[i] && (tries[i] == 0 || same.First == firsts[i]))
            {
                firsts[i] = same.First;
            }
            else
            {
                int owner = Table.Map.OwnerOf(groups[i]);
                if (tries[i] == 0) firsts[i] = FirstOf(groups[i], owner);
                int silo = HolderAt(groups[i], owner, tries[i], firsts[i]);
                part = PartOf(Table.Links[silo], silo == owner ? RouteRole.Client : RouteRole.Hedge);
                same = (groups[i], tries[i], firsts[i]);
            }

            Add(part, i);
        }
    }

    /// <summary>Which of the holders is asked first: the owner, but for hot groups and while it does not answer.</summary>
    private byte FirstOf(BlockId group, int owner)
    {
        if (!IsRead) return 0;
        int holders = HoldersOf(group);
        if (holders == 1) return 0;
        if (Table.Links[owner].IsSuspect) return 1;
        int copies = Math.Min(holders, Client.CopiesOf(group));
        return copies <= 1 ? (byte)0 : (byte)Random.Shared.Next(copies);
    }

    /// <summary>The silo to ask: after the first one the owner, then the others in the order of the map.</summary>
    private int HolderAt(BlockId group, int owner, int tried, int first)
    {
        int place = tried == 0 ? first : tried <= first ? tried - 1 : tried;
        if (place == 0) return owner;
        Span<int> holders = stackalloc int[HotGroups.CopiesMax];
        int found = Table.Map.FindHolders(group, holders[..Math.Min(place + 1, holders.Length)]);
        return holders[found - 1];
    }

    private TPart PartOf(SiloLink link, RouteRole role)
    {
        for (int i = 0; i < used; i++)
        {
            if (parts[i].Link == link && parts[i].Route.Role == role) return parts[i];
        }

        if (used == parts.Count) parts.Add(new TPart());
        parts[used].Begin(link, new RouteContext(Table.Epoch, role), count);
        return parts[used++];
    }

    private void SettlePart(TPart part)
    {
        if (part.Error is not { } error)
        {
            answered = true;
            part.Link.Trust();
            Client.Heard(part.Answer.Epoch, part.Link);
            Settle(part);
            return;
        }

        Note(error);
        if (!IsPassing(error)) return;
        bool lost = error.Code is ErrorCode.Unavailable or ErrorCode.ShuttingDown or ErrorCode.DeadlineExceeded;
        if (lost) part.Link.Suspect();
        if (lost && IsRead)
        {
            foreach (int place in part.Places) TryNext(place);
            Client.Suspected();
            return;
        }

        NotYet(error);
    }

    private KvError? FatalError()
    {
        for (int i = 0; i < used; i++)
        {
            if (parts[i].Error is { } error && !IsPassing(error)) return error;
        }

        return null;
    }

    /// <summary>Keeps an error for the one that the call may end with: that a try took too long says least.</summary>
    private void Note(KvError error)
    {
        if (last is null || error.Code != ErrorCode.DeadlineExceeded) last = error;
    }

    private void EndLost(int place)
    {
        Lost(place);
        done[place] = true;
        lostBlocks++;
    }

    /// <summary>
    /// Every block has its answer. Where nobody gave one, or silos sent the call on until its time ran out, that is no miss: it failed.
    /// </summary>
    private KvError? Ending(TimeSpan longest)
    {
        if (!IsRead || lostBlocks < count || last is null) return null;
        if (!answered) return last;
        return last.Code == ErrorCode.Moved && ClientClock.Until(Client.Time, Deadline) <= TimeSpan.Zero ? Overdue(count, longest) : null;
    }

    private KvError Overdue(int left, TimeSpan longest) => new(
        ErrorCode.DeadlineExceeded,
        "route",
        $"{left} of {count} blocks left after {longest.TotalMilliseconds:0} ms, by epoch {Table.Epoch}; the last answer: {last}",
        "an owner that takes them before the deadline");
}
