using System.Text;

namespace KvTier.Client.Tests.Docs;

/// <summary>The sample of a cluster in docs/how-to/dotnet-client.md, compiled and run.</summary>
internal static class ClusterQuickstart
{
    // <cluster>
    public static async Task<int> PromptAsync(string[] endpoints, string prompt, IReadOnlyList<byte[]> blocks)
    {
        var options = new KvClusterClientOptions { Endpoints = endpoints };
        await using KvClusterClient client = (await KvClusterClient.ConnectAsync(options)).Value;
        KvClusterNamespace ns = (await client.OpenNamespaceAsync(new NamespaceDescriptor("acme", Profiles.Opaque))).Value;

        byte[][] keys = [.. blocks.Select((_, i) => Encoding.UTF8.GetBytes($"{prompt}/{i}"))];
        BlockId[] ids = [.. keys.Select(key => ns.IdOf(key))];
        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);

        PutBlock[] puts = [.. blocks.Select((bytes, i) => new PutBlock(keys[i], bytes, Group: groups[i]))];
        PutSummary put = (await ns.PutAsync(puts)).Value;
        if (!put.AllAcknowledged) throw new KvException(put.Error!);

        int here = (await ns.PrefixAsync(ids, groups, touch: true)).Value;
        GetBlock[] gets = [.. ids.Take(here).Select((id, i) => new GetBlock(id, new byte[blocks[i].Length], Group: groups[i]))];
        return (await ns.GetAsync(gets, new BlockResult[here])).Value.Hits;
    }

    // </cluster>
}
