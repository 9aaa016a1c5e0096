using System.Net.Sockets;
using KvTier.Silo.Resp.Routing;

namespace KvTier.Silo.Resp;

/// <summary>Commands on keys of several silos: each gets its part, and the replies are merged.</summary>
internal sealed partial class RespExecutor
{
    /// <summary>A part of a command on its way: a silo, its keys by position, and where its reply comes from.</summary>
    private sealed record Part(SiloEntry To, IReadOnlyList<int> Keys, RespLink Link)
    {
        public RespReplyHead Head { get; set; }
    }

    /// <summary>Runs a command whose keys several silos own. It is one step on each silo, not on all of them together.</summary>
    /// <returns>True: something was answered.</returns>
    private async ValueTask<bool> SplitAsync(RespRouter router, RespCommand command)
    {
        if (command.Verb == RespVerb.MSet && Count % 2 == 0)
        {
            WrongArity("mset");
            return true;
        }

        for (int i = 1; i < Count; i++)
        {
            if (input.IsValue(i) && IsRefused(command.KeyOf(i), i)) return true;
        }

        var parts = new List<Part>();
        (long Sends, int Length) mark = output.Mark;
        try
        {
            if (await AskOwnersAsync(router, command, parts) is { } refusal) output.Raw(refusal);
            else await MergeAsync(command, parts);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            router.Failed();
            if (output.TryTakeBack(mark)) TryAgain($"a silo did not answer; its part may or may not have been done ({e.Message})");
            else session.Closing = true;
        }
        finally
        {
            foreach (Part part in parts) router.Links.Return(part.To, part.Link);
        }

        return true;
    }

    /// <summary>Sends every silo its part until each key has been taken by its owner.</summary>
    /// <returns>Null when all have answered with what the command answers; else the error line for the client.</returns>
    private async ValueTask<string?> AskOwnersAsync(RespRouter router, RespCommand command, List<Part> parts)
    {
        var open = new List<int>();
        for (int key = command.FirstKey; key < Count; key += command.KeyStep) open.Add(key);
        for (int route = 0; route < RoutesMax && open.Count > 0; route++)
        {
            ClusterMap map = router.Map;
            int asked = parts.Count;
            foreach (IGrouping<int, int> group in open.GroupBy(key => map.OwnerOf(Id(key))).OrderBy(group => group.Key))
            {
                if (group.Key < 0) return "-CLUSTERDOWN no silo of the cluster can be found for a key; try again\r\n";
                Result<RespLink> rented = await router.Links.RentAsync(map.Silos[group.Key], ReadDeadline);
                if (!rented.TryGet(out RespLink? link, out KvError? error))
                {
                    router.Failed();
                    return $"-TRYAGAIN {OneLine(error.Message)}\r\n";
                }

                parts.Add(new Part(map.Silos[group.Key], [.. group], link));
            }

            foreach (Part part in parts.Skip(asked))
            {
                EncodePart(part.Link.Request, command, part.Keys, map);
                await part.Link.Request.SendAsync(part.Link);
            }

            open = await ReadHeadsAsync(router, parts, asked);
            if (parts.Find(part => part.Head.IsError) is { } refused) return refused.Head.Line;
        }

        return open.Count == 0 ? null : "-TRYAGAIN the silos do not agree yet on who owns a key\r\n";
    }

    /// <summary>Reads the first lines of the replies; parts that their silo does not own are taken out again.</summary>
    /// <returns>The keys of those parts.</returns>
    private static async ValueTask<List<int>> ReadHeadsAsync(RespRouter router, List<Part> parts, int from)
    {
        var moved = new List<int>();
        for (int i = parts.Count - 1; i >= from; i--)
        {
            Part part = parts[i];
            if ((await part.Link.ReadHeadAsync()).IsError) throw new SocketException((int)SocketError.ProtocolNotSupported);
            part.Head = await part.Link.ReadHeadAsync();
            if (!await IsMovedAsync(router, part.Head)) continue;
            part.Link.End();
            router.Links.Return(part.To, part.Link);
            parts.RemoveAt(i);
            moved.AddRange(part.Keys);
        }

        moved.Sort();
        return moved;
    }

    private void EncodePart(RespRequest request, RespCommand command, IReadOnlyList<int> keys, ClusterMap map)
    {
        request.Begin(map.Epoch, session.Database, 1 + (keys.Count * command.KeyStep));
        request.Add(Arg(0));
        foreach (int key in keys)
        {
            for (int i = 0; i < command.KeyStep; i++) AddArgument(request, key + i);
        }
    }

    /// <summary>Makes one reply of those of the parts.</summary>
    private async ValueTask MergeAsync(RespCommand command, List<Part> parts)
    {
        if (command.Verb == RespVerb.MGet)
        {
            // Each part answers in the order of its keys, which is the order of all.
            var byKey = parts.SelectMany(part => part.Keys.Select(key => (key, part))).ToDictionary(each => each.key, each => each.part);
            output.ArrayHead(Count - 1);
            for (int key = 1; key < Count; key++)
            {
                RespLink link = byKey[key].Link;
                await link.CopyAsync(await link.ReadHeadAsync(), output);
                if (output.IsFull) await output.FlushAsync();
            }
        }
        else if (command.Verb == RespVerb.MSet) output.Ok();
        else output.Integer(parts.Sum(part => part.Head.Number));

        foreach (Part part in parts) part.Link.End();
    }
}
