using System.Collections.Immutable;
using System.Globalization;

namespace KvTier.Cluster;

/// <summary>
/// What the keys of a cluster say, key by key, and the state that follows from it. What did not change is shared between states; the table
/// of moved groups is copied when one of it changes. Not thread-safe.
/// </summary>
internal sealed class EtcdFacts(EtcdKeys keys, string cluster)
{
    private ImmutableDictionary<string, SiloEntry> members = Empty<SiloEntry>();
    private ImmutableDictionary<string, SiloEntry> silos = Empty<SiloEntry>();
    private ImmutableDictionary<string, SiloLoad> loads = Empty<SiloLoad>();
    private Dictionary<BlockId, string> moved = [];
    private ClusterSettings settings = new();
    private long membersEpoch;
    private bool movedIsShared;
    private ClusterMap? map;
    private IReadOnlyList<SiloEntry>? alive;

    /// <summary>The epoch of the map.</summary>
    public long Epoch { get; private set; }

    /// <summary>Takes the table of moved groups over from facts of the same epoch.</summary>
    public void ShareMoved(EtcdFacts other)
    {
        (moved, movedIsShared) = (other.moved, true);
        other.movedIsShared = true;
    }

    /// <summary>Takes a key that was written.</summary>
    /// <returns>Null, or why its value can't be read.</returns>
    public KvError? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        string name = keys.NameOf(key);
        if (PartOf(name, EtcdKeys.Loads) is { } loaded) return Set(ref loads, loaded, value, name);
        if (PartOf(name, EtcdKeys.Silos) is { } silo)
        {
            alive = null;
            return Set(ref silos, silo, value, name);
        }

        return PutOfMap(name, value);
    }

    /// <summary>Takes a key that is gone.</summary>
    public KvError? Delete(ReadOnlySpan<byte> key)
    {
        string name = keys.NameOf(key);
        if (PartOf(name, EtcdKeys.Loads) is { } loaded) loads = loads.Remove(loaded);
        else if (PartOf(name, EtcdKeys.Silos) is { } silo) (silos, alive) = (silos.Remove(silo), null);
        else if (PartOf(name, EtcdKeys.Members) is { } member) (members, map) = (members.Remove(member), null);
        else if (PartOf(name, EtcdKeys.Moved) is { } group)
        {
            if (!ReadGroup(group, name).TryGet(out BlockId id, out KvError? error)) return error;
            OwnMoved().Remove(id);
        }

        return null;
    }

    /// <summary>The state that follows.</summary>
    public ClusterState ToState(long revision)
    {
        if (map is null || map.Epoch != Epoch)
        {
            map = new ClusterMap(cluster, Epoch, membersEpoch, members.Values, settings, moved);
            movedIsShared = true;
        }

        alive ??= [.. silos.Values.OrderBy(silo => silo.Name, StringComparer.Ordinal)];
        return new ClusterState(revision, map, alive, loads);
    }

    private KvError? PutOfMap(string name, ReadOnlySpan<byte> value)
    {
        KvError? error;
        if (PartOf(name, EtcdKeys.Members) is { } member)
        {
            map = null;
            return Set(ref members, member, value, name);
        }

        if (PartOf(name, EtcdKeys.Moved) is { } group)
        {
            if (!ReadGroup(group, name).TryGet(out BlockId id, out error)) return error;
            // Few names, each very often.
            OwnMoved()[id] = string.Intern(System.Text.Encoding.UTF8.GetString(value));
            return null;
        }

        switch (name)
        {
            case "epoch":
                if (!EtcdKeys.ReadEpoch(value, name).TryGet(out long epoch, out error)) return error;
                Epoch = epoch;
                return null;
            case "membersEpoch":
                if (!EtcdKeys.ReadEpoch(value, name).TryGet(out epoch, out error)) return error;
                (membersEpoch, map) = (epoch, null);
                return null;
            case "settings":
                if (!EtcdJson.ReadValue<ClusterSettings>(value, name).TryGet(out ClusterSettings? read, out error)) return error;
                (settings, map) = (read, null);
                return read.Validate();
            default:
                // Keys of data directories, the format, and what later versions add.
                return null;
        }
    }

    private Dictionary<BlockId, string> OwnMoved()
    {
        if (movedIsShared) (moved, movedIsShared) = (new Dictionary<BlockId, string>(moved), false);
        map = null;
        return moved;
    }

    private static KvError? Set<T>(ref ImmutableDictionary<string, T> table, string name, ReadOnlySpan<byte> value, string key)
        where T : class
    {
        if (!EtcdJson.ReadValue<T>(value, key).TryGet(out T? read, out KvError? error)) return error;
        table = table.SetItem(name, read);
        return null;
    }

    private static Result<BlockId> ReadGroup(string text, string key)
    {
        const NumberStyles hex = NumberStyles.AllowHexSpecifier;
        return text.Length == 32 && ulong.TryParse(text.AsSpan(0, 16), hex, CultureInfo.InvariantCulture, out ulong high)
            && ulong.TryParse(text.AsSpan(16), hex, CultureInfo.InvariantCulture, out ulong low)
            ? new BlockId(high, low) : new KvError(ErrorCode.Corrupt, key, text, "32 hexadecimal digits");
    }

    private static string? PartOf(string name, string folder) =>
        name.StartsWith(folder, StringComparison.Ordinal) ? name[folder.Length..] : null;

    private static ImmutableDictionary<string, T> Empty<T>() => ImmutableDictionary.Create<string, T>(StringComparer.Ordinal);
}
