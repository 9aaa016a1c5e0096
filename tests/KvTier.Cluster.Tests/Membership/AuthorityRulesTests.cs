namespace KvTier.Cluster.Tests;

/// <summary>The rules of an authority one at a time, without loops or a network.</summary>
public sealed class AuthorityRulesTests
{
    private static readonly TimeSpan ttl = TimeSpan.FromSeconds(3);

    [Fact]
    public void Lease_IsCountedFromWhenItsRenewalWasSent_LessAMargin()
    {
        Authority a = Joined(State(5, "a", "b"));
        Assert.True(a.MayWrite(Ms(2699)));
        Assert.False(a.MayWrite(Ms(2700)));
        a.Renewed(Ms(1000));
        a.Renewed(Ms(500));
        Assert.True(a.MayWrite(Ms(3699)));
        Assert.False(a.MayWrite(Ms(3700)));
    }

    [Fact]
    public void LeaseLost_OldMapOrNewState_GivesNothingBack()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.LeaseLost();
        a.Renewed(Ms(100));
        a.Update(State(6, "a", "b"), Ms(100));
        Assert.False(a.MayWrite(Ms(200)));
        Assert.Equal(TimeSpan.Zero, a.Confirm("b", 1, 6, Ms(200)));
    }

    [Fact]
    public void Confirmations_OfAllOthers_CarryPastTheLeaseForTheirLife()
    {
        Authority a = Joined(State(5, "a", "b", "c"));
        a.Confirmed("b", 5, Ms(2600), Ms(1000));
        Assert.False(a.MayWrite(Ms(2800)));
        a.Confirmed("c", 5, Ms(2700), Ms(1000));
        Assert.True(a.MayWrite(Ms(3499)));
        Assert.False(a.MayWrite(Ms(3500)));
        a.Confirmed("b", 5, Ms(3000), TimeSpan.Zero);
        Assert.False(a.MayWrite(Ms(3001)));
    }

    [Fact]
    public void Confirmations_OfAnotherEpoch_CountForNothing()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.Confirmed("b", 4, Ms(2600), Ms(1000));
        Assert.False(a.MayWrite(Ms(2800)));
        a.Confirmed("b", 5, Ms(2600), Ms(1000));
        Assert.True(a.MayWrite(Ms(2800)));
        a.Update(State(6, "a", "b"), Ms(2800));
        Assert.False(a.MayWrite(Ms(2800)));
    }

    [Fact]
    public void Hear_OfANewerEpoch_EndsWhatRestsOnConfirmations()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.Confirmed("b", 5, Ms(2600), Ms(1000));
        Assert.True(a.Hear(6));
        Assert.False(a.MayWrite(Ms(2800)));
        Assert.True(a.MayWrite(Ms(2600)));
    }

    [Fact]
    public void Meet_SiloAboutToJoin_IsAskedTooUntilItIsGone()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.Meet("c", revision: 9);
        a.Confirmed("b", 5, Ms(2600), Ms(1000));
        Assert.False(a.MayWrite(Ms(2800)));
        a.Update(State(5, "a", "b") with { Revision = 8 }, Ms(2800));
        Assert.False(a.MayWrite(Ms(2800)));
        a.Update(State(5, "a", "b") with { Revision = 9 }, Ms(2800));
        Assert.True(a.MayWrite(Ms(2800)));
    }

    [Fact]
    public void Confirm_OtherEpochOtherStartOrStranger_IsRefused()
    {
        Authority a = Joined(State(5, "a", "b"));
        Assert.Equal(Ms(1000), a.Confirm("b", 1, 5, Ms(10)));
        Assert.Equal(TimeSpan.Zero, a.Confirm("b", 1, 4, Ms(10)));
        Assert.Equal(TimeSpan.Zero, a.Confirm("b", 2, 5, Ms(10)));
        Assert.Equal(TimeSpan.Zero, a.Confirm("c", 1, 5, Ms(10)));
        a.Hear(6);
        Assert.Equal(TimeSpan.Zero, a.Confirm("b", 1, 5, Ms(10)));
    }

    [Fact]
    public void Takeover_WordThatWasGiven_IsWaitedFor()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.Confirm("b", 1, 5, Ms(100));
        a.Update(State(6, "a"), Ms(500));
        Assert.False(a.MayWrite(Ms(1099)));
        Assert.True(a.MayWrite(Ms(1100)));
    }

    [Fact]
    public void Takeover_WordThatAnotherGave_IsWaitedFor()
    {
        Authority a = Joined(State(5, "a", "b", "c"));
        a.Update(State(6, "a", "b"), Ms(500));
        Assert.False(a.MayWrite(Ms(500)));
        a.Acknowledged("b", 7, TimeSpan.Zero, Ms(600));
        a.Acknowledged("b", 5, TimeSpan.Zero, Ms(600));
        Assert.False(a.MayWrite(Ms(600)));
        a.Acknowledged("b", 6, Ms(300), Ms(600));
        Assert.False(a.MayWrite(Ms(899)));
        Assert.True(a.MayWrite(Ms(900)));
    }

    [Fact]
    public void Takeover_SiloThatJoins_TakesNothingFromWhoNeedNotWait()
    {
        Authority a = Joined(State(5, "a", "b"));
        a.Update(State(6, "a", "b", "c"), Ms(500));
        Assert.True(a.MayWrite(Ms(500)));
    }

    private static TimeSpan Ms(int ms) => TimeSpan.FromMilliseconds(ms);

    private static ClusterState State(long epoch, params string[] names)
    {
        SiloEntry[] silos = [.. names.Select(name => ModelSilo.Entry(name) with { JoinedEpoch = 1 })];
        var map = new ClusterMap("test", epoch, epoch, silos, new ClusterSettings(), new Dictionary<BlockId, string>());
        return new ClusterState(epoch, map, silos, new Dictionary<string, SiloLoad>());
    }

    /// <summary>Silo a with a lease from 0 on, whose map all others have.</summary>
    private static Authority Joined(ClusterState state)
    {
        var empty = new ClusterMap("test", 0, 0, [], new ClusterSettings(), new Dictionary<BlockId, string>());
        var authority = new Authority("a", ttl, empty);
        authority.Renewed(TimeSpan.Zero);
        authority.Joined(1, TimeSpan.Zero);
        authority.Update(state, TimeSpan.Zero);
        foreach (SiloEntry silo in authority.Unacknowledged)
            authority.Acknowledged(silo.Name, state.Map.Epoch, TimeSpan.Zero, TimeSpan.Zero);
        Assert.True(authority.MayWrite(TimeSpan.Zero));
        return authority;
    }
}
