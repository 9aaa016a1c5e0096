using System.Text.Json;

namespace KvTier.Cli;

/// <summary>One request of a trace: its blocks in order, by hash id.</summary>
/// <param name="HashIds">The same id is the same block with the same prefix.</param>
internal readonly record struct TraceRequest(long[] HashIds);

/// <summary>
/// Reads traces in the form of the Mooncake release: JSON lines with <c>timestamp</c>, <c>input_length</c>,
/// <c>output_length</c>, <c>hash_ids</c>.
/// </summary>
internal static class TraceReader
{
    /// <summary>Most ids that one request may name.</summary>
    private const int IdsMax = 1 << 20;

    /// <summary>Reads a whole trace.</summary>
    /// <exception cref="CliException">The file can't be read, or a line is not a request: names file, line and field.</exception>
    public static List<TraceRequest> Read(string path)
    {
        var requests = new List<TraceRequest>();
        try
        {
            int number = 0;
            foreach (string line in File.ReadLines(path))
            {
                number++;
                if (!string.IsNullOrWhiteSpace(line)) requests.Add(Parse(line, $"{path}:{number}"));
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw CliException.Usage("trace", path, $"a readable file of JSON lines ({failure.Message})");
        }

        return requests.Count > 0 ? requests : throw CliException.Usage("trace", path, "a file with at least one request");
    }

    private static TraceRequest Parse(string line, string where)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw CliException.Usage($"{where}: line", Short(root), "a JSON object");
            foreach (string field in (string[])["timestamp", "input_length", "output_length"])
            {
                if (root.TryGetProperty(field, out JsonElement number)
                    && !(number.ValueKind == JsonValueKind.Number && number.GetDouble() >= 0))
                    throw CliException.Usage($"{where}: {field}", Short(number), "a number, 0 or more");
            }

            return new TraceRequest(Ids(root, where));
        }
        catch (JsonException failure)
        {
            throw CliException.Usage($"{where}: line", Short(line), $"one JSON object (byte {failure.BytePositionInLine})");
        }
    }

    private static long[] Ids(JsonElement root, string where)
    {
        if (!root.TryGetProperty("hash_ids", out JsonElement list))
            throw CliException.Usage($"{where}: hash_ids", null, "a list of whole numbers");
        if (list.ValueKind != JsonValueKind.Array) throw CliException.Usage($"{where}: hash_ids", Short(list), "a list of whole numbers");
        int count = list.GetArrayLength();
        if (count > IdsMax) throw CliException.Usage($"{where}: hash_ids", $"{count} ids", $"at most {IdsMax}");
        var ids = new long[count];
        int i = 0;
        foreach (JsonElement element in list.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out ids[i]))
                throw CliException.Usage($"{where}: hash_ids[{i}]", Short(element), "a whole number of 64 bits");
            i++;
        }

        return ids;
    }

    private static string Short(JsonElement element) => Short(element.GetRawText());

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "...";
}
