using System.Globalization;
using KvTier.Silo.Events;

namespace KvTier.Silo;

/// <content>The options of events, and of what engines are told.</content>
public static partial class SiloOptionTable
{
    private static IEnumerable<SiloOption> EventOptionList()
    {
        yield return ZmqEndpoint("events.endpoint", "Where KV events are published over ZeroMQ; empty for no events.",
            e => e.Endpoint, (e, v) => e with { Endpoint = v });
        yield return ZmqEndpoint("events.replayEndpoint", "Where subscribers ask for batches they missed; empty for nowhere.",
            e => e.ReplayEndpoint, (e, v) => e with { ReplayEndpoint = v });
        yield return ConnectList();
        yield return Event(o => OneOf("events.format", EventSettings.Formats,
            "How events are written: maps in an array, arrays, a map of maps, or maps here and arrays at `events.arrayEndpoint`.",
            o.Get(e => e.Format), o.Set<string>((e, v) => e with { Format = v })));
        yield return ZmqEndpoint("events.arrayEndpoint", "With `both`: where events are published as arrays.",
            e => e.ArrayEndpoint, (e, v) => e with { ArrayEndpoint = v });
        yield return ZmqEndpoint("events.arrayReplayEndpoint", "With `both`: where missed batches are asked for as arrays.",
            e => e.ArrayReplayEndpoint, (e, v) => e with { ArrayReplayEndpoint = v });
        yield return Event(o => OneOf("events.hashes", EventSettings.HashForms,
            "How block hashes are written: the last 8 bytes as unsigned or signed integer, or all bytes.",
            o.Get(e => e.Hashes), o.Set<string>((e, v) => e with { Hashes = v })));
        yield return Event(o => Text("events.topic", "1 to 256 characters; {silo}, {tenant} and {model} are filled in",
            "Topic of a namespace's events.", text => text.Length is >= 1 and <= 256,
            o.Get(e => e.Topic), o.Set<string>((e, v) => e with { Topic = v })));
        yield return Event(o => Switch("events.replayTopic", "Name the topic in each batch that is replayed, before its number.",
            o.Get(e => e.ReplayTopic), o.Set<bool>((e, v) => e with { ReplayTopic = v })));
        yield return Event(o => Number("events.buffer", 0, 10_000_000, "Batches kept for replay.",
            o.Get(e => (long)e.Buffer), o.Set<long>((e, v) => e with { Buffer = (int)v })));
        yield return Event(o => Bytes("events.bufferBytes", 1 << 20, 1L << 36,
            "Most bytes of them, and most bytes that wait for one subscriber.",
            o.Get(e => e.BufferBytes), o.Set<long>((e, v) => e with { BufferBytes = v })));
        yield return Event(o => Number("events.hwm", 1, 10_000_000, "Messages that wait for one subscriber; more are dropped for it.",
            o.Get(e => (long)e.Hwm), o.Set<long>((e, v) => e with { Hwm = (int)v })));
        yield return Event(o => Bytes("events.noteBytes", 1 << 16, 1L << 40, "Memory for what engines say of blocks for their events.",
            o.Get(e => e.NoteBytes), o.Set<long>((e, v) => e with { NoteBytes = v })));
        yield return Event(o => Number("events.subscribersMax", 1, 65_536, "Most subscribers at one endpoint.",
            o.Get(e => (long)e.SubscribersMax), o.Set<long>((e, v) => e with { SubscribersMax = (int)v })));
        yield return Event(o => Text("events.user", "at most 255 characters",
            "Name that subscribers must show (PLAIN); empty for none (NULL).", text => text.Length <= 255,
            o.Get(e => e.User), o.Set<string>((e, v) => e with { User = v.Length == 0 ? null : v })));
        yield return Secret("events.password", "Password of that name.",
            o => o.Events.Password, (o, v) => o with { Events = o.Events with { Password = v } });
    }

    private static IEnumerable<SiloOption> EngineOptionList()
    {
        yield return Switch("engines.gate", "Answer how many blocks to load with those that load sooner than they are computed.",
            o => o.Engines.Gate, (o, v) => o with { Engines = o.Engines with { Gate = v } });
        yield return Number("engines.prefillTokensPerSecond", 0, 1L << 40,
            "Tokens a second that engines prefill, where nobody says otherwise; 0 for not known, then nothing is held back.",
            o => o.Engines.PrefillTokensPerSecond, (o, v) => o with { Engines = o.Engines with { PrefillTokensPerSecond = v } });
        yield return PrefillList();
        yield return Number("engines.unreadMinutes", 0, 525_600,
            "How long a namespace may be written and not be read before that is reported; 0 for ever.",
            o => o.Engines.UnreadMinutes, (o, v) => o with { Engines = o.Engines with { UnreadMinutes = (int)v } });
        yield return Number("engines.forgetMinutes", 1, 525_600, "How long an engine is remembered after its last hello.",
            o => o.Engines.ForgetMinutes, (o, v) => o with { Engines = o.Engines with { ForgetMinutes = (int)v } });
    }

    private static SiloOption PrefillList()
    {
        const string name = "engines.prefill", allowed = "tenant/profile=tokens a second, separated by commas";
        return new SiloOption(
            name, "list", allowed, "The same by namespace.",
            o => string.Join(',', o.Engines.PrefillOf.Select(each => $"{each.Key}={Invariant(each.Value)}")),
            (o, text) =>
            {
                var rates = new Dictionary<string, long>(StringComparer.Ordinal);
                foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
                {
                    int at = part.LastIndexOf('=');
                    if (at < 1 || !part[..at].Contains('/', StringComparison.Ordinal)
                        || !long.TryParse(part[(at + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out long rate))
                        return KvError.InvalidArgument(name, part, allowed);
                    rates[part[..at].Trim()] = rate;
                }

                return o with { Engines = o.Engines with { PrefillOf = rates } };
            },
            o => o.Engines.PrefillOf.Values.Any(rate => rate < 0) ? KvError.InvalidArgument(name, "a rate below 0", allowed) : null);
    }

    private static SiloOption ConnectList()
    {
        const string name = "events.connect", allowed = "tcp://HOST:PORT, separated by commas";
        return new SiloOption(
            name, "list", allowed, "Subscribers that wait at a fixed place, to which the silo connects besides; empty for none.",
            o => string.Join(',', o.Events.Connect),
            (o, text) =>
            {
                string[] list = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                return Array.Find(list, each => !ZmqAddress.TryParseRemote(each, out _, out _)) is { } wrong
                    ? KvError.InvalidArgument(name, wrong, allowed)
                    : o with { Events = o.Events with { Connect = list } };
            },
            o => o.Events.Connect.FirstOrDefault(each => !ZmqAddress.TryParseRemote(each, out _, out _)) is { } wrong
                ? KvError.InvalidArgument(name, wrong, allowed)
                : null);
    }

    private static SiloOption ZmqEndpoint(
        string name, string help, Func<EventSettings, string?> get, Func<EventSettings, string?, EventSettings> set) =>
        Text(name, ZmqAddress.Form, help, text => text.Length == 0 || ZmqAddress.TryParse(text, out _),
            o => get(o.Events), (o, v) => o with { Events = set(o.Events, v.Length == 0 ? null : v) });

    private static SiloOption Event(Func<EventAccess, SiloOption> make) => make(default);

    /// <summary>Makes readers and writers of event settings into those of options.</summary>
    private readonly struct EventAccess
    {
        public Func<SiloOptions, T> Get<T>(Func<EventSettings, T> get) => o => get(o.Events);

        public Func<SiloOptions, T, SiloOptions> Set<T>(Func<EventSettings, T, EventSettings> set) =>
            (o, v) => o with { Events = set(o.Events, v) };
    }
}
