using System.Text;
using Microsoft.Extensions.DependencyInjection;

namespace KvTier.Client.Tests.Docs;

/// <summary>The samples of docs/how-to/dotnet-client.md, compiled and run.</summary>
internal static class Quickstart
{
    // <put-and-get>
    public static async Task<byte[]> PutAndGetAsync(string endpoint)
    {
        Result<KvTierClient> connected = await KvTierClient.ConnectAsync(new KvTierClientOptions { Endpoint = endpoint });
        if (!connected.TryGet(out KvTierClient? client, out KvError? error)) throw new KvException(error);
        await using (client)
        {
            KvNamespace ns = (await client.OpenNamespaceAsync(new NamespaceDescriptor("acme", Profiles.Opaque))).Value;
            byte[] key = Encoding.UTF8.GetBytes("prompt/1");
            await ns.PutAsync(key, new byte[] { 1, 2, 3 });

            byte[] buffer = new byte[1024];
            BlockResult answer = (await ns.GetAsync(new GetBlock(ns.IdOf(key), buffer))).Value;
            return answer.IsHit ? buffer[..answer.Length] : throw new InvalidOperationException($"miss: {answer.Reason.Name()}");
        }
    }

    // </put-and-get>
    // <batch>
    public static async Task<int> BatchAsync(KvNamespace ns, IReadOnlyList<(byte[] Key, byte[] Bytes)> blocks, CancellationToken token)
    {
        PutBlock[] puts = [.. blocks.Select(block => new PutBlock(block.Key, block.Bytes))];
        var options = new PutOptions { Ack = AckLevel.Memory, TimeToLive = TimeSpan.FromHours(1), Timeout = TimeSpan.FromSeconds(5) };
        PutSummary put = (await ns.PutAsync(puts, default, options, token)).Value;
        if (!put.AllAcknowledged) throw new KvException(put.Error!);

        BlockId[] ids = [.. blocks.Select(block => ns.IdOf(block.Key))];
        int here = (await ns.PrefixAsync(ids, touch: true, cancellationToken: token)).Value;

        GetBlock[] gets = [.. ids.Take(here).Select((id, i) => new GetBlock(id, new byte[blocks[i].Bytes.Length]))];
        var results = new BlockResult[gets.Length];
        GetSummary got = (await ns.GetAsync(gets, results, cancellationToken: token)).Value;
        return got.Hits;
    }

    // </batch>
    // <lease>
    public static async Task<long> SumInPlaceAsync(KvNamespace ns, BlockId id)
    {
        using BlockLease lease = (await ns.LeaseAsync(id)).Value;
        if (!lease.IsHit) return -1;
        long[] sum = [0];
        bool counts = lease.TryRead(sum, static (bytes, total) =>
        {
            foreach (byte value in bytes) total[0] += value;
        });
        return counts ? sum[0] : -1;
    }

    // </lease>
    // <reserve>
    public static async Task<PutSummary> WriteInPlaceAsync(KvNamespace ns, byte[] key, int length)
    {
        var reservations = new BlockReservation[1];
        await ns.ReserveAsync(new[] { new ReserveBlock(key, length) }, reservations);
        if (reservations[0].Status == ReserveStatus.Reserved) reservations[0].Memory.Span.Fill(7);
        return (await ns.CommitAsync(reservations)).Value;
    }

    // </reserve>
    // <di>
    public static void AddTo(IServiceCollection services) => services.AddKvTierClient(options =>
    {
        options.Endpoint = "unix:///run/kvtier/silo.sock";
        options.RequestTimeout = TimeSpan.FromSeconds(5);
        options.Resilience.RetriesMax = 5;
    });

    // </di>
}
