using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using KvTier.Cluster;
using KvTier.Silo.Resp.Routing;

namespace KvTier.Silo.Resp;

/// <summary>Commands in a cluster: each key has one silo that serves it, whichever silo the client speaks to.</summary>
internal sealed partial class RespExecutor
{
    /// <summary>Times that a command is sent on when silos' maps differ.</summary>
    private const int RoutesMax = 4;

    /// <summary>
    /// Word of the error by which a silo says that it is not the owner, before the epoch of its map. Clients never see it.
    /// </summary>
    private const string MovedWord = "KVMOVED ";

    /// <summary>Marks a connection as another silo's, and says which database its next command is about. Answers with the epoch.</summary>
    private async ValueTask MarkAsync(RespRouter router)
    {
        if (Count != 3 || !long.TryParse(Arg(1), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch)
            || !int.TryParse(Arg(2), NumberStyles.None, CultureInfo.InvariantCulture, out int database)
            || database >= RespServer.Databases)
        {
            output.Error("ERR the mark of a command that another silo passes on is KVTIER.FORWARDED epoch database");
            return;
        }

        session.IsForwarded = true;
        session.Database = database;
        if (epoch > router.Map.Epoch) await router.Node.CatchUpAsync(epoch);
        output.Simple(router.Map.Epoch);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask RunRoutedAsync(RespRouter router, RespCommand command)
    {
        if (command.FirstKey == 0)
        {
            await RunKeylessAsync(router, command);
            return;
        }

        for (int route = 0; route < RoutesMax; route++)
        {
            ClusterMap map = router.Map;
            int self = router.Self;
            int owner = OwnerOfKeys(command, map);
            if (owner == self && owner >= 0)
            {
                if (await RunOwnedAsync(router, command)) return;
                continue;
            }

            if (session.IsForwarded)
            {
                output.Error(MovedWord + map.Epoch.ToString(CultureInfo.InvariantCulture));
                return;
            }

            if (owner == NoOwner)
            {
                Down("no silo of the cluster can be found for the key; try again");
                return;
            }

            if (await (owner == SeveralOwners ? SplitAsync(router, command) : ForwardAsync(router, command, map, owner))) return;
        }

        TryAgain("the silos do not agree yet on who owns the key");
    }

    private const int NoOwner = -1;
    private const int SeveralOwners = -2;

    /// <summary>The silo that owns all keys of a command: its index, <see cref="NoOwner"/>, or <see cref="SeveralOwners"/>.</summary>
    private int OwnerOfKeys(RespCommand command, ClusterMap map)
    {
        int owner = map.OwnerOf(Id(command.FirstKey));
        for (int key = command.FirstKey + command.KeyStep; command.LastKey < 0 && key < Count; key += command.KeyStep)
        {
            if (map.OwnerOf(Id(key)) != owner) return SeveralOwners;
        }

        return owner;
    }

    /// <summary>Runs a command whose keys are this silo's.</summary>
    /// <returns>False when they turn out to be another's; then nothing was done.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> RunOwnedAsync(RespRouter router, RespCommand command)
    {
        bool changes = command.Flags.StartsWith("write", StringComparison.Ordinal);
        Admission admission = Admit(router, command, changes);
        if (admission == Admission.Moved) return false;
        if (admission == Admission.Fenced)
        {
            Down("the silo can't show that it still owns the key; try again");
            return true;
        }

        if (await PrepareAsync(router, command) is { } unready)
        {
            TryAgain(unready.Message);
            return true;
        }

        (long Sends, int Length) mark = output.Mark;
        await RunAsync(command);
        if (!changes || Admit(router, command, changes) == Admission.Serve) return true;

        // It was done by a silo that may not have been the owner any more: nobody may be told that it was.
        if (output.TryTakeBack(mark)) TryAgain("the key went to another silo meanwhile, and may or may not have been changed");
        else session.Closing = true;
        return true;
    }

    private Admission Admit(RespRouter router, RespCommand command, bool changes)
    {
        NamespaceDescriptor ns = Engine.Namespaces[Namespace];
        for (int key = command.FirstKey; key < Count; key += command.KeyStep)
        {
            Admission admission = router.Node.Admit(ns, Id(key), changes ? AccessKind.Change : AccessKind.Read);
            if (admission != Admission.Serve) return admission;
            if (command.LastKey > 0) break;
        }

        return Admission.Serve;
    }

    /// <summary>Brings values here that an earlier owner may still have.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<KvError?> PrepareAsync(RespRouter router, RespCommand command)
    {
        ValueAccess access = AccessOf(command.Verb);
        for (int key = command.FirstKey; key < Count; key += command.KeyStep)
        {
            BlockId id = Id(key);
            if (await router.Node.PrepareAsync(Namespace, id, access, ReadDeadline) is { } error) return error;
            if (command.LastKey > 0) break;
        }

        return null;
    }

    private ValueAccess AccessOf(RespVerb verb) => verb switch
    {
        RespVerb.Set => Count > 3 ? ValueAccess.Update : ValueAccess.Replace,
        RespVerb.SetEx or RespVerb.PSetEx or RespVerb.MSet => ValueAccess.Replace,
        RespVerb.SetNx or RespVerb.Del or RespVerb.Unlink or RespVerb.Expire or RespVerb.PExpire or RespVerb.PersistKey =>
            ValueAccess.Update,
        _ => ValueAccess.Read,
    };

    /// <summary>Has another silo run a command, and passes its reply on.</summary>
    /// <returns>False when that silo is not the owner: the map is newer by then.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ForwardAsync(RespRouter router, RespCommand command, ClusterMap map, int owner)
    {
        for (int i = 1; i < Count; i++)
        {
            if (input.IsValue(i) && IsRefused(command.KeyOf(i), i)) return true;
        }

        SiloEntry to = map.Silos[owner];
        Result<RespLink> rented = await router.Links.RentAsync(to, ReadDeadline);
        if (!rented.TryGet(out RespLink? link, out KvError? error))
        {
            router.Failed();
            TryAgain(error.Message);
            return true;
        }

        (long Sends, int Length) mark = output.Mark;
        try
        {
            Encode(link.Request, map);
            RespReplyHead head = await ExchangeAsync(link);
            if (await IsMovedAsync(router, head))
            {
                link.End();
                return false;
            }

            await link.CopyAsync(head, output);
            link.End();
            router.Forwarded();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            router.Failed();
            if (output.TryTakeBack(mark))
                TryAgain($"silo {to.Name} did not answer; the command may or may not have been done ({e.Message})");
            else
                session.Closing = true;
        }
        finally
        {
            router.Links.Return(to, link);
        }

        return true;
    }

    /// <summary>Sends a marked command and reads the first line of its reply.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<RespReplyHead> ExchangeAsync(RespLink link)
    {
        await link.Request.SendAsync(link);
        RespReplyHead mark = await link.ReadHeadAsync();

        // A listener that does not know the mark is none of a cluster.
        return mark.IsError ? throw new SocketException((int)SocketError.ProtocolNotSupported) : await link.ReadHeadAsync();
    }

    /// <summary>True when a silo said that it is not the owner; the map is as new as that silo's by then, if that can be.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<bool> IsMovedAsync(RespRouter router, RespReplyHead head)
    {
        if (!head.IsError || !head.Text.StartsWith(MovedWord, StringComparison.Ordinal)) return false;
        if (long.TryParse(head.Text.AsSpan(MovedWord.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long epoch)
            && epoch > router.Map.Epoch)
            await router.Node.CatchUpAsync(epoch);
        return true;
    }

    private void Encode(RespRequest request, ClusterMap map)
    {
        request.Begin(map.Epoch, session.Database, Count);
        for (int i = 0; i < Count; i++) AddArgument(request, i);
    }

    private void AddArgument(RespRequest request, int index)
    {
        if (input.Place(index, out int slot) == RespPlace.Slot)
            request.AddSlot(Engine.Arena.Slice(values[slot].Reservation.Offset, input.Length(index)));
        else request.Add(Arg(index));
    }

    private void TryAgain(string reason) => output.Error("TRYAGAIN " + OneLine(reason));

    private void Down(string reason) => output.Error("CLUSTERDOWN " + OneLine(reason));

    private static string OneLine(string text) => text.Replace('\r', ' ').Replace('\n', ' ');
}
