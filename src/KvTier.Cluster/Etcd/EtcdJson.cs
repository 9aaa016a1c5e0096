using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvTier.Cluster;

/// <summary>JSON as etcd's gateway writes it (numbers of 64 bits as text, what is 0 left out), and as we store it.</summary>
internal static class EtcdJson
{
    private static readonly JsonSerializerOptions gateway = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowReadingFromString,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private static readonly JsonSerializerOptions values = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>Writes a message to etcd.</summary>
    public static byte[] WriteMessage<T>(T message) => JsonSerializer.SerializeToUtf8Bytes(message, gateway);

    /// <summary>Reads a message of etcd.</summary>
    public static Result<T> ReadMessage<T>(ReadOnlySpan<byte> text, string what)
        where T : class => Read<T>(text, gateway, what);

    /// <summary>Writes a value of ours.</summary>
    public static byte[] WriteValue<T>(T value) => JsonSerializer.SerializeToUtf8Bytes(value, values);

    /// <summary>Reads a value of ours.</summary>
    public static Result<T> ReadValue<T>(ReadOnlySpan<byte> text, string key)
        where T : class => Read<T>(text, values, key);

    private static Result<T> Read<T>(ReadOnlySpan<byte> text, JsonSerializerOptions options, string what)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(text, options) is { } read ? read : new KvError(ErrorCode.Corrupt, what, "null");
        }
        catch (JsonException e)
        {
            return new KvError(ErrorCode.Corrupt, what, e.Message, $"JSON of a {typeof(T).Name}");
        }
    }
}
