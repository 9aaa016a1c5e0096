using System.Text.Json.Serialization;

namespace KvTier.Cluster;

internal sealed record EtcdGrantRequest([property: JsonPropertyName("TTL")] long Ttl);

internal sealed record EtcdLeaseRequest([property: JsonPropertyName("ID")] long Id);

/// <summary>A lease, granted or renewed; a time of 0 says that there is none any more.</summary>
internal sealed record EtcdLeaseAnswer
{
    [JsonPropertyName("ID")]
    public long Id { get; init; }

    /// <summary>Seconds from now on.</summary>
    [JsonPropertyName("TTL")]
    public long Ttl { get; init; }
}

/// <summary>A message of a stream.</summary>
internal sealed record EtcdStreamed<T>
{
    public T? Result { get; init; }

    public EtcdFailure? Error { get; init; }
}

/// <summary>What etcd says of a failure.</summary>
internal sealed record EtcdFailure
{
    public string Message { get; init; } = "";

    /// <summary>Code of gRPC.</summary>
    public int Code { get; init; }

    /// <summary>The same in messages of a stream.</summary>
    public int GrpcCode { get; init; }
}

/// <summary>What is said of a write; nothing of it is needed.</summary>
internal sealed record EtcdPutAnswer
{
    public EtcdHeader Header { get; init; } = new();
}

internal sealed record EtcdAuthenticateRequest(string Name, string Password);

internal sealed record EtcdAuthenticateAnswer
{
    public string Token { get; init; } = "";
}

internal sealed record EtcdWatchRequest(EtcdWatchCreate CreateRequest);

internal sealed record EtcdWatchCreate
{
    public required byte[] Key { get; init; }

    public required byte[] RangeEnd { get; init; }

    public required long StartRevision { get; init; }

    /// <summary>Asks for a message now and then where there is nothing to say.</summary>
    public bool ProgressNotify { get; init; } = true;
}

internal sealed record EtcdWatchAnswer
{
    public EtcdHeader Header { get; init; } = new();

    public bool Created { get; init; }

    public bool Canceled { get; init; }

    public string CancelReason { get; init; } = "";

    /// <summary>Above 0 when the revision that was asked for is gone.</summary>
    public long CompactRevision { get; init; }

    public IReadOnlyList<EtcdEvent> Events { get; init; } = [];
}

internal sealed record EtcdEvent
{
    /// <summary><c>DELETE</c>, or <c>PUT</c>, which is left out.</summary>
    public string Type { get; init; } = "PUT";

    public EtcdKeyValue Kv { get; init; } = new();
}

internal sealed record EtcdVersion
{
    [JsonPropertyName("etcdserver")]
    public string Server { get; init; } = "";
}
