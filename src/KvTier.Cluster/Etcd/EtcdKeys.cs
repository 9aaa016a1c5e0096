using System.Globalization;
using System.Text;

namespace KvTier.Cluster;

/// <summary>The keys of a cluster.</summary>
/// <param name="prefix">Begin of all of them, without a slash at its end.</param>
internal sealed class EtcdKeys(string prefix)
{
    public const string Members = "members/";
    public const string Moved = "moved/";
    public const string Silos = "silos/";
    public const string Loads = "load/";

    private readonly int length = Encoding.UTF8.GetByteCount(prefix) + 1;

    /// <summary>What the cluster is: <see cref="EtcdFormat"/>.</summary>
    public byte[] Format => Of("format");

    /// <summary>The epoch of the map, in decimal digits.</summary>
    public byte[] Epoch => Of("epoch");

    /// <summary>The epoch of the last change of members or settings, in decimal digits.</summary>
    public byte[] MembersEpoch => Of("membersEpoch");

    /// <summary>The settings.</summary>
    public byte[] Settings => Of("settings");

    /// <summary>Begin of all keys, and the first key after them.</summary>
    public (byte[] Begin, byte[] End) All => (Of(""), After(""));

    /// <summary>The keys before those of moved groups, and those after them.</summary>
    public ((byte[] Begin, byte[] End) Before, (byte[] Begin, byte[] End) After) AllButMoved =>
        ((Of(""), Of(Moved)), (After(Moved), After("")));

    /// <summary>Keys of moved groups.</summary>
    public (byte[] Begin, byte[] End) MovedGroups => (Of(Moved), After(Moved));

    /// <summary>A member of the map.</summary>
    public byte[] Member(string silo) => Of(Members + silo);

    /// <summary>A group that was moved.</summary>
    public byte[] MovedGroup(BlockId group) => Of(Moved + group);

    /// <summary>The registration of a silo; under its lease.</summary>
    public byte[] Silo(string name) => Of(Silos + name);

    /// <summary>Who uses a data directory; under its lease.</summary>
    public byte[] Data(string id) => Of("data/" + id);

    /// <summary>How a silo is doing; under its lease.</summary>
    public byte[] Load(string silo) => Of(Loads + silo);

    /// <summary>A key without the prefix.</summary>
    public string NameOf(ReadOnlySpan<byte> key) => key.Length < length ? "" : Encoding.UTF8.GetString(key[length..]);

    /// <summary>Writes an epoch.</summary>
    public static byte[] WriteEpoch(long epoch) => Encoding.ASCII.GetBytes(epoch.ToString(CultureInfo.InvariantCulture));

    /// <summary>Reads an epoch.</summary>
    public static Result<long> ReadEpoch(ReadOnlySpan<byte> text, string key) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long epoch)
            ? epoch : new KvError(ErrorCode.Corrupt, key, Encoding.UTF8.GetString(text), "an epoch in decimal digits");

    private byte[] Of(string name) => Encoding.UTF8.GetBytes($"{prefix}/{name}");

    private byte[] After(string folder)
    {
        byte[] end = Of(folder);
        end[^1]++;
        return end;
    }
}
