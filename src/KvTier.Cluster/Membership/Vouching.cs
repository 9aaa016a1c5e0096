namespace KvTier.Cluster;

/// <summary>
/// What silos ask each other about the map: confirmations while the engine is away, and whether they know what this silo owns newly.
/// </summary>
internal sealed class Vouching(MembershipContext context)
{
    /// <summary>Rounds of asking after which the state is read, for the epochs that are published with loads.</summary>
    private const int RoundsBeforeRead = 3;

    private static readonly TimeSpan askLongest = TimeSpan.FromSeconds(1);

    /// <summary>Asks the others to confirm this silo while its lease can't be renewed, until it is told to stop.</summary>
    public async Task ConfirmAsync()
    {
        TimeSpan ttl = context.Options.LeaseTtl;
        while (!context.Stop.IsCancellationRequested)
        {
            ClusterMap map = context.Keeper.State.Map;
            TimeSpan life = Confirmations.LifeOf(ttl, map.Silos.Count);
            bool needed = context.Authority.NeedsConfirmations(context.Clock.Now);
            if (needed && context.Authority.Entry is { } self)
            {
                IEnumerable<SiloEntry> others = map.Silos.Where(silo => silo.Name != self.Name);
                await Task.WhenAll(others.Select(silo => ConfirmAsync(silo, self, map.Epoch, life)));
            }

            await context.Clock.DelayAsync(needed ? life / 3 : ttl / 10, context.Stop);
        }
    }

    /// <summary>Asks those that have not told yet that they know the newest map, until it is told to stop.</summary>
    public async Task SettleAsync()
    {
        Backoff backoff = context.NewBackoff(TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(500));
        int rounds = 0;
        while (!context.Stop.IsCancellationRequested)
        {
            IReadOnlyList<SiloEntry> missing = context.Authority.Unacknowledged;
            if (missing.Count == 0)
            {
                backoff.Reset();
                rounds = 0;
                await context.SettleWake.SleepAsync(context.Options.LeaseTtl, context.Stop);
                continue;
            }

            long epoch = context.Keeper.State.Map.Epoch;
            await Task.WhenAll(missing.Select(silo => AcknowledgeAsync(silo, epoch)));
            if (context.Authority.Unacknowledged.Count == 0) continue;

            // Who can't be asked publishes its epoch with its load.
            if (++rounds % RoundsBeforeRead == 0) context.RefreshWake.Set();
            await context.SettleWake.SleepAsync(backoff.Next(), context.Stop);
        }
    }

    /// <summary>Answers what another silo asks.</summary>
    public async ValueTask<Result<PeerMessage>> AnswerAsync(string from, PeerMessage request, TimeSpan deadline)
    {
        if (!MembershipBody.Read(request.Body.Span).TryGet(out long number, out KvError? error)) return error;
        context.Hear(request.Epoch);
        switch (request.Op)
        {
            case MembershipOps.Meet:
                context.Authority.Meet(from, number);
                return Answer(request.Op, MembershipBody.Write(0));
            case MembershipOps.Confirm:
                TimeSpan life = context.Authority.Confirm(from, number, request.Epoch, context.Clock.Now);
                return Answer(request.Op, MembershipBody.Write(life));
            case MembershipOps.Acknowledge:
                await context.Keeper.WaitAsync(request.Epoch, deadline < context.Options.CatchUp ? deadline : context.Options.CatchUp);
                return Answer(request.Op, MembershipBody.Write(context.Authority.GivenLeft(context.Clock.Now)));
            default:
                return new KvError(ErrorCode.Unsupported, "peer.op", $"{request.Op}", "an operation of membership");
        }
    }

    private Result<PeerMessage> Answer(ushort op, byte[] body) => new PeerMessage(op, context.Keeper.State.Map.Epoch, body);

    private async Task ConfirmAsync(SiloEntry silo, SiloEntry self, long epoch, TimeSpan life)
    {
        TimeSpan sent = context.Clock.Now;
        var question = new PeerMessage(MembershipOps.Confirm, epoch, MembershipBody.Write(self.JoinedEpoch));
        if (await AskAsync(silo, question, life / 2) is not { } answer) return;
        if (!MembershipBody.ReadTime(answer.Body.Span).TryGet(out TimeSpan granted, out _)) return;
        context.Authority.Confirmed(silo.Name, epoch, sent, answer.Epoch == epoch ? granted : TimeSpan.Zero);
    }

    private async Task AcknowledgeAsync(SiloEntry silo, long epoch)
    {
        var question = new PeerMessage(MembershipOps.Acknowledge, epoch, MembershipBody.Write(0));
        if (await AskAsync(silo, question, askLongest) is not { } answer) return;
        if (!MembershipBody.ReadTime(answer.Body.Span).TryGet(out TimeSpan left, out _)) return;
        context.Authority.Acknowledged(silo.Name, answer.Epoch, left, context.Clock.Now);
    }

    private async Task<PeerMessage?> AskAsync(SiloEntry silo, PeerMessage question, TimeSpan deadline)
    {
        Result<PeerMessage> result = await context.Peers.CallAsync(silo, question, deadline);
        if (!result.TryGet(out PeerMessage? answer, out _) || answer.Op != question.Op) return null;
        context.Hear(answer.Epoch);
        return answer;
    }
}
