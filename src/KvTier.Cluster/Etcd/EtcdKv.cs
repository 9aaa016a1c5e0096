using System.Text.Json.Serialization;

namespace KvTier.Cluster;

/// <summary>What every answer begins with.</summary>
internal sealed record EtcdHeader
{
    /// <summary>Revision of the whole store.</summary>
    public long Revision { get; init; }
}

/// <summary>A key with its value.</summary>
internal sealed record EtcdKeyValue
{
    public byte[] Key { get; init; } = [];

    public byte[] Value { get; init; } = [];

    public long CreateRevision { get; init; }

    public long ModRevision { get; init; }

    /// <summary>The lease it goes with; 0 for none.</summary>
    public long Lease { get; init; }
}

/// <summary>Asks for the keys of a range; without an end for one key.</summary>
internal sealed record EtcdRangeRequest
{
    public required byte[] Key { get; init; }

    public byte[]? RangeEnd { get; init; }

    /// <summary>Most keys of the answer; 0 for all.</summary>
    public long Limit { get; init; }

    /// <summary>The revision to read at; 0 for the newest.</summary>
    public long Revision { get; init; }
}

internal sealed record EtcdRangeAnswer
{
    public EtcdHeader Header { get; init; } = new();

    public IReadOnlyList<EtcdKeyValue> Kvs { get; init; } = [];

    /// <summary>True when there are more keys than the limit let through.</summary>
    public bool More { get; init; }
}

internal sealed record EtcdPutRequest
{
    public required byte[] Key { get; init; }

    public required byte[] Value { get; init; }

    public long Lease { get; init; }
}

internal sealed record EtcdDeleteRequest
{
    public required byte[] Key { get; init; }
}

/// <summary>A condition of a transaction; which of the fields counts is said by the target.</summary>
internal sealed record EtcdCompare
{
    public required byte[] Key { get; init; }

    /// <summary><c>VALUE</c>, <c>LEASE</c> or <c>CREATE</c>.</summary>
    public required string Target { get; init; }

    public byte[]? Value { get; init; }

    public long? Lease { get; init; }

    public long? CreateRevision { get; init; }

    /// <summary>The key is not there.</summary>
    public static EtcdCompare Absent(byte[] key) => new() { Key = key, Target = "CREATE", CreateRevision = 0 };

    /// <summary>The key has a value.</summary>
    public static EtcdCompare HasValue(byte[] key, byte[] value) => new() { Key = key, Target = "VALUE", Value = value };

    /// <summary>The key goes with a lease.</summary>
    public static EtcdCompare HasLease(byte[] key, long lease) => new() { Key = key, Target = "LEASE", Lease = lease };
}

/// <summary>One step of a transaction; one field is set.</summary>
internal sealed record EtcdOperation
{
    public EtcdRangeRequest? RequestRange { get; init; }

    public EtcdPutRequest? RequestPut { get; init; }

    public EtcdDeleteRequest? RequestDeleteRange { get; init; }

    public static EtcdOperation Get(byte[] key) => new() { RequestRange = new EtcdRangeRequest { Key = key } };

    public static EtcdOperation Range(byte[] key, byte[] end, long limit) =>
        new() { RequestRange = new EtcdRangeRequest { Key = key, RangeEnd = end, Limit = limit } };

    public static EtcdOperation Put(byte[] key, byte[] value, long lease = 0) =>
        new() { RequestPut = new EtcdPutRequest { Key = key, Value = value, Lease = lease } };

    public static EtcdOperation Delete(byte[] key) => new() { RequestDeleteRange = new EtcdDeleteRequest { Key = key } };
}

internal sealed record EtcdTransaction
{
    public IReadOnlyList<EtcdCompare> Compare { get; init; } = [];

    public required IReadOnlyList<EtcdOperation> Success { get; init; }

    public IReadOnlyList<EtcdOperation> Failure { get; init; } = [];
}

internal sealed record EtcdTransactionAnswer
{
    public EtcdHeader Header { get; init; } = new();

    public bool Succeeded { get; init; }

    public IReadOnlyList<EtcdOperationAnswer> Responses { get; init; } = [];

    /// <summary>The answer of a step that read; empty for a step that did not.</summary>
    public EtcdRangeAnswer RangeOf(int step) =>
        step < Responses.Count ? Responses[step].ResponseRange ?? new EtcdRangeAnswer() : new EtcdRangeAnswer();

    /// <summary>What a step found that read one key; null when there is none.</summary>
    public EtcdKeyValue? KeyOf(int step) => RangeOf(step).Kvs is [var found, ..] ? found : null;
}

internal sealed record EtcdOperationAnswer
{
    [JsonPropertyName("response_range")]
    public EtcdRangeAnswer? ResponseRange { get; init; }
}
