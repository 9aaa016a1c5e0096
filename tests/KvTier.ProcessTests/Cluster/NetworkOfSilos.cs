using System.Diagnostics;
using KvTier.Testing;

namespace KvTier.ProcessTests.Cluster;

/// <summary>
/// A network of the test's own: a bridge, and a network namespace for each silo, so that single links can be cut while all others work.
/// Needs root, as the tests of a full disk do.
/// </summary>
internal sealed class NetworkOfSilos : IDisposable
{
    private const string NowhereAddress = "02:00:00:00:00:01";
    private const int FirstSubnet = 64;
    private const int Subnets = 128;
    private readonly string prefix;
    private readonly int subnet;
    private readonly int count;
    private readonly IDisposable claim;

    /// <summary>Makes a network for some silos; the host itself has the address <see cref="Host"/> in it.</summary>
    public NetworkOfSilos(int silos)
    {
        count = silos;
        // Two runs at one time must not meet, neither by the names of devices, of 15 characters at most, nor by addresses.
        (subnet, claim) = Claim();
        prefix = $"kvnet{subnet}";
        // A run that was killed leaves its own behind.
        Remove();
        Run($"ip link add {Bridge} type bridge");
        Run($"ip addr add {Host}/24 dev {Bridge}");
        Run($"ip link set {Bridge} up");
        for (int i = 0; i < silos; i++)
        {
            Run($"ip netns add {Namespace(i)}");
            Run($"ip link add {prefix}v{i} type veth peer name eth0 netns {Namespace(i)}");
            Run($"ip link set {prefix}v{i} master {Bridge} up");
            RunIn(i, $"ip addr add {Address(i)}/24 dev eth0");
            RunIn(i, "ip link set eth0 up");
            RunIn(i, "ip link set lo up");
        }
    }

    /// <summary>Address of the host, where etcd and clients are.</summary>
    public string Host => $"10.213.{subnet}.1";

    private string Bridge => $"{prefix}br";

    /// <summary>Address of a silo.</summary>
    public string Address(int silo) => $"10.213.{subnet}.{silo + 2}";

    /// <summary>What a program's command line is preceded by to run in a silo's namespace.</summary>
    public string[] Through(int silo) => ["ip", "netns", "exec", Namespace(silo)];

    /// <summary>Cuts a silo off from all others and from etcd, both ways. Packets are lost, nobody is told.</summary>
    public void CutOff(int silo) => Run($"ip link set {prefix}v{silo} nomaster");

    /// <summary>Mends <see cref="CutOff"/>.</summary>
    public void Mend(int silo) => Run($"ip link set {prefix}v{silo} master {Bridge}");

    /// <summary>Loses all that a silo sends to the host, where etcd is, and to the other silos; it still hears them.</summary>
    public void Silence(int silo) => ForOthers(silo, address => RunIn(silo,
        $"ip neigh replace {address} lladdr {NowhereAddress} dev eth0 nud permanent"));

    /// <summary>Mends <see cref="Silence"/>.</summary>
    public void Unsilence(int silo) => ForOthers(silo, address => RunIn(silo, $"ip neigh del {address} dev eth0"));

    /// <inheritdoc/>
    public void Dispose()
    {
        Remove();
        claim.Dispose();
    }

    private static (int Subnet, IDisposable Claim) Claim()
    {
        for (int number = FirstSubnet; number < FirstSubnet + Subnets; number++)
        {
            if (TestPorts.TryClaim($"subnet-{number}") is { } claimed) return (number, claimed);
        }

        throw new InvalidOperationException($"no subnet from {FirstSubnet} on is free");
    }

    private void Remove()
    {
        for (int i = 0; i < count; i++) Run($"ip netns del {Namespace(i)}", mayFail: true);
        for (int i = 0; i < count; i++) Run($"ip link del {prefix}v{i}", mayFail: true);
        Run($"ip link del {Bridge}", mayFail: true);
    }

    private string Namespace(int silo) => $"{prefix}n{silo}";

    private void ForOthers(int silo, Action<string> action)
    {
        action(Host);
        for (int i = 0; i < count; i++)
        {
            if (i != silo) action(Address(i));
        }
    }

    private void RunIn(int silo, string command) => Run($"ip netns exec {Namespace(silo)} {command}");

    private static void Run(string command, bool mayFail = false)
    {
        string[] words = command.Split(' ');
        var start = new ProcessStartInfo(words[0], words[1..]) { UseShellExecute = false, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0 && !mayFail) throw new InvalidOperationException($"{command}: {said.Trim()}");
    }
}
