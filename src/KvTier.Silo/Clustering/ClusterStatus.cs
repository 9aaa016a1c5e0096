using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvTier.Silo;

/// <summary>The cluster as one silo sees it: the answer to ClusterStatus, as JSON.</summary>
public sealed record ClusterStatus
{
    /// <summary>Most moved groups that are listed.</summary>
    public const int MovedListed = 256;

    /// <summary>Name of the cluster; empty outside of one.</summary>
    public string Cluster { get; init; } = "";

    /// <summary>Name of the silo that answers.</summary>
    public string Self { get; init; } = "";

    /// <summary>Epoch of its map; 0 outside of a cluster.</summary>
    public long Epoch { get; init; }

    /// <summary>Epoch of the last change of members.</summary>
    public long MembersEpoch { get; init; }

    /// <summary>True while the silo that answers may change things as the owner.</summary>
    public bool MayWrite { get; init; }

    /// <summary>Why it is no member, or that etcd can't be reached; null while all is well.</summary>
    public string? Problem { get; init; }

    /// <summary>Silos that hold each group, the owner included.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>The same for single namespaces.</summary>
    public IReadOnlyDictionary<string, int> NamespaceReplicas { get; init; } = new Dictionary<string, int>();

    /// <summary>The silos by name: members, and those that are alive and no members.</summary>
    public IReadOnlyList<ClusterStatusSilo> Silos { get; init; } = [];

    /// <summary>Groups that were moved away from where hashing puts them.</summary>
    public int MovedGroups { get; init; }

    /// <summary>The first of them: group in hexadecimal digits, and its silo.</summary>
    public IReadOnlyDictionary<string, string> Moved { get; init; } = new Dictionary<string, string>();

    /// <summary>Figures of the silo that answers, since it started.</summary>
    public IReadOnlyDictionary<string, long> Counters { get; init; } = new Dictionary<string, long>();

    /// <summary>The JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ClusterJson.Default.ClusterStatus);

    /// <summary>Reads the JSON.</summary>
    /// <returns>Null when it is none.</returns>
    public static ClusterStatus? Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, ClusterJson.Default.ClusterStatus);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>A silo in <see cref="ClusterStatus"/>.</summary>
public sealed record ClusterStatusSilo
{
    /// <summary>Its name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Address of its native listener.</summary>
    public string Endpoint { get; init; } = "";

    /// <summary>Address of its RESP2 listener; null for none.</summary>
    public string? RespEndpoint { get; init; }

    /// <summary>Address of its HTTP listener; null for none.</summary>
    public string? HttpEndpoint { get; init; }

    /// <summary>Failure domain.</summary>
    public string Zone { get; init; } = "";

    /// <summary>True when it is in the map.</summary>
    public bool Member { get; init; }

    /// <summary>True when its lease holds.</summary>
    public bool Alive { get; init; }

    /// <summary>True while it gives its groups away.</summary>
    public bool Draining { get; init; }

    /// <summary>True when it has handed over all that others are to hold by this map.</summary>
    public bool Settled { get; init; }

    /// <summary>Epoch of members up to which it has.</summary>
    public long SettledEpoch { get; init; }

    /// <summary>Epoch in which it joined.</summary>
    public long JoinedEpoch { get; init; }

    /// <summary>Bytes that it can hold.</summary>
    public long CapacityBytes { get; init; }

    /// <summary>Part of all groups that hashing gives it, 0 to 1.</summary>
    public double Share { get; init; }

    /// <summary>Payload bytes that it holds, as it last said.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Bytes of them in host memory.</summary>
    public long HostBytes { get; init; }

    /// <summary>Blocks that it holds.</summary>
    public long Blocks { get; init; }

    /// <summary>Requests a second.</summary>
    public double RequestsPerSecond { get; init; }
}

/// <summary>Generated JSON code.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ClusterStatus))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(bool))]
internal sealed partial class ClusterJson : JsonSerializerContext;
