using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Blocks that measurements put and get: numbered keys, and one connected namespace.</summary>
internal sealed class BenchBlocks : IAsyncDisposable
{
    private readonly KvTierClient client;

    private BenchBlocks(KvTierClient client, KvNamespace ns)
    {
        this.client = client;
        Namespace = ns;
    }

    /// <summary>The namespace.</summary>
    public KvNamespace Namespace { get; }

    /// <summary>Connects a client with one connection.</summary>
    public static async Task<BenchBlocks> ConnectAsync(string endpoint, TransportMode transport, CancellationToken cancel)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = endpoint,
            Transport = transport,
            Connections = 1,
            ClientName = "kvtier-bench",
            RequestTimeout = TimeSpan.FromSeconds(60),
        };
        KvTierClient connected = (await KvTierClient.ConnectAsync(options, cancel)).OrFail();
        KvNamespace ns = (await connected.OpenNamespaceAsync(new NamespaceDescriptor("bench", Profiles.Opaque), cancel)).OrFail();
        return new BenchBlocks(connected, ns);
    }

    /// <summary>The key of a block.</summary>
    public static byte[] Key(string set, long number) => Encoding.ASCII.GetBytes($"{set}:{number}");

    /// <summary>The id of a block.</summary>
    public BlockId Id(string set, long number) => Namespace.IdOf(Key(set, number));

    /// <summary>The ids of the blocks from 0 on.</summary>
    public BlockId[] Ids(string set, int count) => [.. Enumerable.Range(0, count).Select(i => Id(set, i))];

    /// <summary>Puts a block.</summary>
    public async ValueTask PutAsync(byte[] key, ReadOnlyMemory<byte> payload, PutOptions options = default) =>
        (await Namespace.PutAsync(key, payload, options)).OrFail();

    /// <summary>Puts the blocks from 0 on, all with the same bytes.</summary>
    public async Task FillAsync(string set, int count, ReadOnlyMemory<byte> payload)
    {
        for (int i = 0; i < count; i++) await PutAsync(Key(set, i), payload);
    }

    /// <summary>Reads every byte.</summary>
    /// <returns>A figure that depends on all of them, so that no reading is left out.</returns>
    public static long Touch(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<Vector256<long>> wide = MemoryMarshal.Cast<byte, Vector256<long>>(bytes);
        (Vector256<long> a, Vector256<long> b) = (Vector256<long>.Zero, Vector256<long>.Zero);
        for (int i = 0; i + 1 < wide.Length; i += 2)
        {
            a += wide[i];
            b += wide[i + 1];
        }

        return Vector256.Sum(a + b);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => client.DisposeAsync();
}
