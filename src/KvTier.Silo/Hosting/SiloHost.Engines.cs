using KvTier.Engine;
using KvTier.Silo.Engines;
using KvTier.Silo.Events;
using KvTier.Silo.Native;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo;

/// <content>What the silo does for engines beside blocks.</content>
public sealed partial class SiloHost
{
    private EngineDesk? desk;
    private UnreadWatch? unread;
    private KvEvents? events;

    /// <summary>KV events; tests look at them. Null when none are published.</summary>
    internal KvEvents? Events => events;

    /// <summary>What is known of engines; tests look at it.</summary>
    internal EngineDesk Desk => desk!;

    /// <summary>What reports namespaces that nobody reads; tests step it.</summary>
    internal UnreadWatch Unread => unread!;

    private KvError? BindEvents(NativeContext context)
    {
        events = new KvEvents(options, store!.Engine, time, loggers.CreateLogger("KvTier.Silo.Events"));
        context.Events = events;
        catalog.Events = events;
        if (events.Bind() is { } error) return error;
        if (options.Events.User is null) WarnOfOpenEvents(events);
        return null;
    }

    private void WarnOfOpenEvents(KvEvents published)
    {
        foreach (EventOutlet outlet in published.Outlets)
        {
            if (outlet.IsReachable) logger.EventsOpenToAll(outlet.Address);
        }
    }

    private void StartEngines()
    {
        events?.Start();
        unread = new UnreadWatch(
            store!.Engine, TimeSpan.FromMinutes(options.Engines.UnreadMinutes), time, loggers.CreateLogger("KvTier.Silo.Engines"));
        catalog.Desk = desk;
        catalog.Unread = unread;
        catalog.EngineNamespaces = () => store?.Engine.Namespaces ?? [];
    }

    private StatEngines EngineStat()
    {
        BlockEngine? engine = store?.Engine;
        IReadOnlyList<NamespaceDescriptor> all = engine?.Namespaces ?? [];
        Dictionary<string, string> causes = (unread?.Unread ?? []).ToDictionary(each => each.Namespace, each => each.Cause);
        return new StatEngines
        {
            Namespaces = [.. all.Index().Where(each => !each.Item.IsInternal)
                .Select(each => StatOf(engine!, each.Index, each.Item, causes))],
            Bandwidth = desk is null ? [] : [.. Enum.GetValues<LoadPath>().Select(path => new StatBandwidth(
                path.ToString().ToLowerInvariant(), desk.Bandwidth.RateOf(path), desk.Bandwidth.SamplesOf(path)))],
            Events = events is null ? null : new StatEvents(
                [.. events.Outlets.Select(each => new StatOutlet(
                    each.Address, each.ReplayAddress, each.Subscribers, each.Subscribed, each.Kept))],
                events.Counters.Batches, events.Counters.Stored, events.Counters.Removed, events.Counters.MessagesDropped,
                events.Notes.Count, events.Notes.Bytes, events.Notes.Dropped, events.Counters.Replays, events.Counters.HandshakeFailures),
        };
    }

    private StatEngineNamespace StatOf(BlockEngine engine, int handle, NamespaceDescriptor ns, Dictionary<string, string> causes)
    {
        NamespaceTraffic traffic = engine.Traffic((ushort)handle);
        return new StatEngineNamespace(
            ns.Name, desk?.Book.DifferingFields(ns.Id) ?? [], causes.GetValueOrDefault(ns.Name),
            traffic.Stored, traffic.Hits, traffic.Misses,
            [.. (desk?.Book.Of(ns.Id) ?? []).Select(each => new StatEngine(
                each.Engine, each.Version, each.Instance, each.Fields, each.SeenAt))]);
    }
}
