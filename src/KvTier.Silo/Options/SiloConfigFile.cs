using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace KvTier.Silo;

/// <summary>Reads options from a YAML or JSON file. Nested maps and dotted names mean the same: <c>resp: {port: 1}</c> is <c>resp.port:
/// 1</c>.</summary>
internal static class SiloConfigFile
{
    /// <summary>Largest file that is read.</summary>
    private const long BytesMax = 1 << 20;

    /// <summary>Reads a file into a copy of the options.</summary>
    public static Result<SiloOptions> Apply(SiloOptions options, string path)
    {
        if (!Parse(path).TryGet(out YamlNode? root, out KvError? error)) return error;
        return ApplyMap(options, path, "", root);
    }

    private static Result<YamlNode> Parse(string path)
    {
        const string readable = "a readable YAML or JSON file of at most 1 MiB";
        try
        {
            long length = new FileInfo(path).Length;
            if (length > BytesMax) return KvError.LimitExceeded("config", $"{path}, {length} bytes", BytesMax);
            var yaml = new YamlStream();
            using var reader = new StreamReader(path);
            yaml.Load(reader);
            return yaml.Documents.Count switch
            {
                0 => new YamlMappingNode(),
                1 => yaml.Documents[0].RootNode,
                _ => KvError.InvalidArgument("config", $"{path}, {yaml.Documents.Count} documents", "one YAML document"),
            };
        }
        catch (YamlException e)
        {
            return KvError.InvalidArgument("config", $"{path}, line {e.Start.Line}, column {e.Start.Column}: {e.Message}",
                "well-formed YAML or JSON");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return KvError.InvalidArgument("config", $"{path}: {e.Message}", readable);
        }
    }

    private static Result<SiloOptions> ApplyMap(SiloOptions options, string path, string prefix, YamlNode node)
    {
        if (node is not YamlMappingNode map)
            return KvError.InvalidArgument(prefix.Length == 0 ? $"{path}: config" : $"{path}: {prefix[..^1]}", node.NodeType.ToString(),
                "a map of options");
        foreach ((YamlNode keyNode, YamlNode value) in map.Children)
        {
            string name = prefix + ((keyNode as YamlScalarNode)?.Value ?? "?");
            SiloOption? option = SiloOptionTable.Find(name);
            Result<SiloOptions> next;
            if (option is null && value is YamlMappingNode && IsSection(name)) next = ApplyMap(options, path, name + ".", value);
            else if (option is null) return SiloOptionTable.Unknown(name, $"{path}, line {keyNode.Start.Line}");
            else next = ApplyOption(options, $"{path}, line {keyNode.Start.Line}", option, value);
            if (!next.TryGet(out SiloOptions? applied, out KvError? error)) return error;
            options = applied;
        }

        return options;
    }

    private static bool IsSection(string name) =>
        SiloOptionTable.All.Any(option => option.Name.StartsWith(name + ".", StringComparison.OrdinalIgnoreCase));

    private static Result<SiloOptions> ApplyOption(SiloOptions options, string source, SiloOption option, YamlNode value)
    {
        Result<SiloOptions> applied = value switch
        {
            YamlScalarNode scalar => option.Apply(options, IsNull(scalar) ? "" : scalar.Value ?? ""),
            YamlSequenceNode list when option.Name == "namespaces" => ApplyNamespaces(options, list),
            YamlSequenceNode list when option.Kind == "list" && list.Children.All(item => item is YamlScalarNode) =>
                option.Apply(options, string.Join(',', list.Children.Cast<YamlScalarNode>().Select(item => item.Value))),
            _ => KvError.InvalidArgument(option.Name, value.NodeType.ToString(), option.Allowed),
        };
        return applied.Error is { } error ? SiloOptionsLoader.InSource(error, source) : applied;
    }

    private static bool IsNull(YamlScalarNode scalar) => scalar.Style == ScalarStyle.Plain && scalar.Value is null or "null" or "~";

    private static Result<SiloOptions> ApplyNamespaces(SiloOptions options, YamlSequenceNode list)
    {
        var namespaces = new List<NamespaceDescriptor>();
        foreach (YamlNode item in list)
        {
            Result<NamespaceDescriptor> one = item is YamlScalarNode scalar
                ? NamespaceText.Parse(scalar.Value ?? "")
                : NamespaceConfig.Parse(item);
            if (!one.TryGet(out NamespaceDescriptor? descriptor, out KvError? error)) return error;
            namespaces.Add(descriptor);
        }

        return options with { Namespaces = namespaces };
    }
}
