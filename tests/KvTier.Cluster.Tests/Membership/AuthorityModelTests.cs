
namespace KvTier.Cluster.Tests;

/// <summary>
/// Silos that join, are killed, cut off (from the engine, from each other, one way), stopped, and come back, in any order: at no instant
/// may two of
/// them change one group, and once all is well again all may.
/// </summary>
public sealed class AuthorityModelTests
{
    private const int SeedsOfARange = 8;

    private static readonly string[] names = ["a", "b", "c", "d", "e"];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void RandomFaults_AtEveryInstant_NoGroupHasTwoThatMayChangeIt(int range)
    {
        for (int seed = range * 1000; seed < range * 1000 + SeedsOfARange; seed++) new Story(seed).Run();
    }

    /// <summary>One run: a cluster, faults drawn from a seed, and what is looked at after every step.</summary>
    private sealed class Story(int seed)
    {
        private readonly Random random = new(seed);
        private readonly BlockId[] groups = [.. Enumerable.Range(0, 8).Select(i => new BlockId((ulong)i * 7919, (ulong)(i + seed)))];

        public void Run()
        {
            using var cluster = new ModelCluster(seed);
            cluster.Start(names[..random.Next(1, 4)]);
            for (int step = 0; step < 25; step++)
            {
                Fault(cluster);
                cluster.Run(TimeSpan.FromMilliseconds(random.Next(20, 2500)), () => Check(cluster));
            }

            Heal(cluster);
        }

        private void Fault(ModelCluster cluster)
        {
            string name = names[random.Next(names.Length)];
            string other = names[random.Next(names.Length)];
            ModelSilo? silo = cluster.Silos.GetValueOrDefault(name);
            switch (random.Next(11))
            {
                case 0 or 1 when silo is null:
                    _ = cluster.Add(name).Membership.StartAsync(TimeSpan.FromHours(1)).AsTask();
                    break;
                case 2 when silo is not null && cluster.Silos.Count > 1:
                    cluster.Kill(name);
                    break;
                case 3 when silo is not null:
                    silo.Session.IsCut = !silo.Session.IsCut;
                    break;
                case 4 when silo is not null:
                    silo.Session.LosesWatches = !silo.Session.LosesWatches;
                    break;
                case 5 when silo is not null:
                    silo.Session.LosesAnswers = !silo.Session.LosesAnswers;
                    break;
                case 6 or 7 when name != other:
                    if (!cluster.Cuts.Remove((name, other))) cluster.Cuts.Add((name, other));
                    break;
                case 8 when cluster.Engine.IsDown:
                    cluster.Engine.Restart();
                    break;
                case 8:
                    cluster.Engine.Stop();
                    break;
                case 9 when silo is not null:
                    silo.IsStopped = !silo.IsStopped;
                    break;
                case 10 when silo is not null && silo.Membership.State.Map.Epoch > 0:
                    var moved = new Dictionary<BlockId, string?> { [groups[random.Next(8)]] = random.Next(3) == 0 ? null : other };
                    var change = new ClusterChange(silo.Membership.State.Map.Epoch) { Moved = moved };
                    _ = silo.Membership.CommitAsync(change, TimeSpan.FromSeconds(1)).AsTask();
                    break;
            }
        }

        private void Check(ModelCluster cluster)
        {
            foreach (BlockId group in groups)
            {
                string[] writers = [.. cluster.Silos.Where(silo => MayChange(silo.Value, group)).Select(silo => silo.Key)];
                Assert.True(writers.Length <= 1, $"seed {seed}: {string.Join(" and ", writers)} may both change group {group}");
            }
        }

        private static bool IsWell(ModelSilo silo) => silo.Membership.MayWrite && silo.Membership.State.Map.Silos.Count == names.Length;

        private static bool MayChange(ModelSilo silo, BlockId group)
        {
            ClusterMap map = silo.Membership.State.Map;
            int self = map.IndexOf(silo.Membership.Self.Name);
            return self >= 0 && map.OwnerOf(group) == self && silo.Membership.MayWriteTo(group);
        }

        private void Heal(ModelCluster cluster)
        {
            cluster.Engine.Restart();
            cluster.Cuts.Clear();
            foreach (string name in names.Where(name => !cluster.Silos.ContainsKey(name)))
                _ = cluster.Add(name).Membership.StartAsync(TimeSpan.FromHours(1)).AsTask();
            foreach (ModelSilo silo in cluster.Silos.Values)
            {
                silo.IsStopped = false;
                silo.Session.IsCut = silo.Session.LosesWatches = silo.Session.LosesAnswers = false;
            }

            cluster.RunUntil(() => cluster.Silos.Values.All(IsWell));
            Check(cluster);
        }
    }
}
