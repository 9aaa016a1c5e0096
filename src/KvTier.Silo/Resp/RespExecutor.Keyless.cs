using System.Globalization;
using System.Net.Sockets;
using System.Text;
using KvTier.Silo.Resp.Routing;

namespace KvTier.Silo.Resp;

/// <summary>
/// Commands about all keys, in a cluster: every silo is asked. What is about the connection or this silo is answered here.
/// </summary>
internal sealed partial class RespExecutor
{
    private ValueTask RunKeylessAsync(RespRouter router, RespCommand command)
    {
        bool isChange = command.Verb is RespVerb.FlushDb or RespVerb.FlushAll;
        if (session.IsForwarded || router.Self < 0)
        {
            if (!isChange || router.MayWrite) return RunAsync(command);
            Down("the silo can't show that it still owns its keys; try again");
            return default;
        }

        return command.Verb switch
        {
            RespVerb.DbSize => SumAsync(router, ["DBSIZE"]),
            RespVerb.FlushDb or RespVerb.FlushAll => FlushEverywhereAsync(router, command),
            RespVerb.RandomKey => RandomKeyAsync(router),
            RespVerb.Scan => ScanAsync(router),
            _ => RunAsync(command),
        };
    }

    /// <summary>Asks every silo, this one too, and reads the first lines of their replies; whatever follows them is thrown away.</summary>
    /// <returns>The lines; null when an error was answered.</returns>
    private async ValueTask<List<RespReplyHead>?> AskAllAsync(RespRouter router, string[] words)
    {
        var heads = new List<RespReplyHead>();
        ClusterMap map = router.Map;
        foreach (SiloEntry silo in map.Silos)
        {
            if (await AskAsync(router, map, silo, words, (_, head) =>
            {
                heads.Add(head);
                return default;
            })) continue;
            return null;
        }

        if (heads.Find(head => head.IsError) is not { IsError: true } refused) return heads;
        output.Raw(refused.Line);
        return null;
    }

    /// <summary>Asks one silo.</summary>
    /// <param name="router">The way there.</param>
    /// <param name="map">The map.</param>
    /// <param name="to">The silo.</param>
    /// <param name="words">The command.</param>
    /// <param name="take">Takes the reply: its first line, and the rest from the connection.</param>
    /// <returns>False when it could not be asked; that was answered.</returns>
    private async ValueTask<bool> AskAsync(
        RespRouter router, ClusterMap map, SiloEntry to, string[] words, Func<RespLink, RespReplyHead, ValueTask> take)
    {
        if (!(await router.Links.RentAsync(to, ReadDeadline)).TryGet(out RespLink? link, out KvError? error))
        {
            router.Failed();
            TryAgain(error.Message);
            return false;
        }

        (long Sends, int Length) mark = output.Mark;
        try
        {
            link.Request.Begin(map.Epoch, session.Database, words.Length);
            foreach (string word in words) link.Request.Add(Encoding.Latin1.GetBytes(word));
            RespReplyHead head = await ExchangeAsync(link);
            await take(link, head);
            link.End();
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            router.Failed();
            if (output.TryTakeBack(mark)) TryAgain($"silo {to.Name} did not answer ({e.Message})");
            else session.Closing = true;
            return false;
        }
        finally
        {
            router.Links.Return(to, link);
        }
    }

    private async ValueTask SumAsync(RespRouter router, string[] words)
    {
        if (await AskAllAsync(router, words) is { } heads) output.Integer(heads.Sum(head => head.Number));
    }

    private async ValueTask FlushEverywhereAsync(RespRouter router, RespCommand command)
    {
        if (Count > 2 || (Count == 2 && !RespText.Is(Arg(1), "sync"u8) && !RespText.Is(Arg(1), "async"u8)))
        {
            output.SyntaxError();
            return;
        }

        if (await AskAllAsync(router, [command.Name]) is not null) output.Ok();
    }

    /// <summary>Asks one silo after the other, beginning anywhere, until one has a key.</summary>
    private async ValueTask RandomKeyAsync(RespRouter router)
    {
        ClusterMap map = router.Map;
        int first = Random.Shared.Next(map.Silos.Count);
        for (int i = 0; i < map.Silos.Count; i++)
        {
            bool found = false;
            bool asked = await AskAsync(router, map, map.Silos[(first + i) % map.Silos.Count], ["RANDOMKEY"], async (link, head) =>
            {
                found = head.Kind != '$' || head.Number >= 0;
                if (found) await link.CopyAsync(head, output);
            });
            if (found || !asked) return;
        }

        output.Null();
    }

    /// <summary>
    /// Walks the keys of one silo after the other. The cursor is that of the silo, times <see cref="ClusterMap.SilosMax"/>, plus the
    /// silo's place in the map.
    /// </summary>
    private async ValueTask ScanAsync(RespRouter router)
    {
        if (!RespCursor.TryParse(Arg(1), out ulong cursor))
        {
            output.Error("ERR invalid cursor");
            return;
        }

        ClusterMap map = router.Map;
        int silo = (int)(cursor % ClusterMap.SilosMax);
        if (silo >= map.Silos.Count)
        {
            output.Raw("*2\r\n$1\r\n0\r\n*0\r\n"u8);
            return;
        }

        string[] words = [.. Enumerable.Range(0, Count).Select(i => Encoding.Latin1.GetString(Arg(i)))];
        words[1] = (cursor / ClusterMap.SilosMax).ToString(CultureInfo.InvariantCulture);
        await AskAsync(router, map, map.Silos[silo], words, async (link, head) =>
        {
            if (head.Kind != '*')
            {
                await link.CopyAsync(head, output);
                return;
            }

            byte[] next = await link.ReadBulkAsync(await link.ReadHeadAsync());
            output.ArrayHead(2);
            output.Bulk(NextCursor(next, silo, map.Silos.Count));
            await link.CopyAsync(await link.ReadHeadAsync(), output);
        });
    }

    private static string NextCursor(ReadOnlySpan<byte> next, int silo, int silos)
    {
        ulong own = ulong.Parse(next, NumberStyles.None, CultureInfo.InvariantCulture);
        ulong cursor = own != 0 ? (own * ClusterMap.SilosMax) + (ulong)silo : silo + 1 < silos ? (ulong)silo + 1 : 0;
        return cursor.ToString(CultureInfo.InvariantCulture);
    }
}
