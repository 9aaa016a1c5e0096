namespace KvTier.Cluster.Tests.Node;

public sealed class AdmissionTests
{
    private static readonly TestBlock block = TestBlock.Of(1);

    [Fact]
    public void Admit_AtTheOwner_ServesAndOthersSayMoved() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = cluster.OwnerOf(block);
        foreach (TestSilo silo in cluster.Members)
        {
            Admission expected = silo == owner ? Admission.Serve : Admission.Moved;
            foreach (AccessKind kind in Enum.GetValues<AccessKind>())
                Assert.Equal(expected, silo.Node.Admit(block.Namespace, block.Group, kind));
        }

        await Task.CompletedTask;
    });

    [Fact]
    public void Admit_OwnerInDoubt_ServesOnlyReadsOfWhatCannotChange() => TestCluster.Run(2, 1, async cluster =>
    {
        TestBlock value = TestBlock.Of(1, TestBlock.Mutable);
        TestSilo owner = cluster.OwnerOf(block);
        TestSilo ownerOfValue = cluster.OwnerOf(value);
        owner.Membership.MayWrite = ownerOfValue.Membership.MayWrite = false;
        Assert.Equal(Admission.Serve, owner.Node.Admit(block.Namespace, block.Group, AccessKind.Read));
        Assert.Equal(Admission.Fenced, owner.Node.Admit(block.Namespace, block.Group, AccessKind.Put));
        Assert.Equal(Admission.Fenced, ownerOfValue.Node.Admit(value.Namespace, value.Group, AccessKind.Read));
        Assert.Equal(Admission.Fenced, ownerOfValue.Node.Admit(value.Namespace, value.Group, AccessKind.Change));
        await Task.CompletedTask;
    });

    [Fact]
    public void Admit_SiloThatIsNoMember_SaysMoved() => TestCluster.Run(2, 1, async cluster =>
    {
        TestSilo owner = cluster.OwnerOf(block);
        cluster.Remove(owner.Name);
        Assert.Equal(Admission.Moved, owner.Node.Admit(block.Namespace, block.Group, AccessKind.Put));
        await Task.CompletedTask;
    });

    [Fact]
    public void AdmitPush_OfAnotherEpoch_RefusesReplicas() => TestCluster.Run(3, 2, async cluster =>
    {
        TestSilo replica = cluster[cluster.AskedFor(block)[1]];
        long epoch = cluster.Map.Epoch;
        Assert.Equal(Admission.Serve, replica.Node.AdmitPush(PushRole.Replica, epoch, block.Namespace, block.Group));
        Assert.Equal(Admission.Moved, replica.Node.AdmitPush(PushRole.Replica, epoch - 1, block.Namespace, block.Group));
        Assert.Equal(Admission.Moved, replica.Node.AdmitPush(PushRole.Replica, epoch + 1, block.Namespace, block.Group));
        Assert.Equal(Admission.Serve, replica.Node.AdmitPush(PushRole.HandOver, epoch - 1, block.Namespace, block.Group));
        await Task.CompletedTask;
    });

    [Fact]
    public void AdmitPush_AtASiloThatIsNotToHoldTheGroup_Refuses() => TestCluster.Run(3, 2, async cluster =>
    {
        TestSilo other = cluster.Members.Single(silo => !cluster.AskedFor(block).Contains(silo.Name));
        foreach (PushRole role in Enum.GetValues<PushRole>())
            Assert.Equal(Admission.Moved, other.Node.AdmitPush(role, cluster.Map.Epoch, block.Namespace, block.Group));
        await Task.CompletedTask;
    });

    [Fact]
    public void AdmitPush_OfMutableValues_RefusesAlways() => TestCluster.Run(1, 1, async cluster =>
    {
        TestBlock value = TestBlock.Of(1, TestBlock.Mutable);
        foreach (PushRole role in Enum.GetValues<PushRole>())
        {
            Assert.Equal(
                Admission.Moved, cluster.OwnerOf(value).Node.AdmitPush(role, cluster.Map.Epoch, value.Namespace, value.Group));
        }

        await Task.CompletedTask;
    });

    [Fact]
    public void Admit_OneAfterTheOther_AllocatesNothing() => TestCluster.Run(3, 2, async cluster =>
    {
        ClusterNode node = cluster["a"].Node;
        long epoch = cluster.Map.Epoch;
        AssertFree("Admit", () => node.Admit(block.Namespace, block.Group, AccessKind.Put));
        AssertFree("AdmitPush", () => node.AdmitPush(PushRole.Replica, epoch, block.Namespace, block.Group));
        AssertFree("MayBeElsewhere", () => node.MayBeElsewhere(block.Group));
        AssertFree("CopiesOf", () => node.CopiesOf(block.Namespace, block.Group));
        AssertFree("NoteRead", () => node.NoteRead(0, block.Group));
        await Task.CompletedTask;
    });

    private static void AssertFree(string what, Action call)
    {
        call();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++) call();
        Assert.Equal((what, 0L), (what, GC.GetAllocatedBytesForCurrentThread() - before));
    }
}
