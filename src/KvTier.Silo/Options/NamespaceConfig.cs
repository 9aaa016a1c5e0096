using System.Globalization;
using YamlDotNet.RepresentationModel;

namespace KvTier.Silo;

/// <summary>A whole namespace in a configuration file: a map with <c>tenant</c> and the fields of a profile.</summary>
internal static class NamespaceConfig
{
    private static readonly string[] fields =
        ["tenant", "profile", "kind", "layers", "kvHeads", "headDim", "dtype", "blockTokens", "ropeTheta", "ropeScaling", "preRotation"];

    /// <summary>
    /// Reads the map. Fields that are not there are as in the built-in profile of that name, or those of an empty profile.
    /// </summary>
    public static Result<NamespaceDescriptor> Parse(YamlNode node)
    {
        if (node is not YamlMappingNode map) return KvError.InvalidArgument("namespaces", node.NodeType.ToString(),
            "tenant/profile or a map");
        var values = new Dictionary<string, string>();
        foreach ((YamlNode key, YamlNode value) in map.Children)
        {
            string name = (key as YamlScalarNode)?.Value ?? "?";
            if (!fields.Contains(name)) return KvError.InvalidArgument("namespaces: field", name,
                $"a known field; the nearest is {NearestName.Of(name, fields)}");
            values[name] = (value as YamlScalarNode)?.Value ?? "";
        }

        string profileName = values.GetValueOrDefault("profile", "");
        ModelProfile start = Profiles.Find(profileName) ?? new ModelProfile
        {
            Name = profileName,
            Kind = AttentionKind.Gqa,
            Rope = new RopeParameters(0)
        };
        if (!ApplyFields(start, values).TryGet(out ModelProfile? profile, out KvError? error)) return error;
        var descriptor = new NamespaceDescriptor(values.GetValueOrDefault("tenant", ""), profile);
        return descriptor.Validate() is { } invalid ? invalid : descriptor;
    }

    private static Result<ModelProfile> ApplyFields(ModelProfile profile, Dictionary<string, string> values)
    {
        foreach ((string name, string text) in values)
        {
            ModelProfile? next = name switch
            {
                "tenant" or "profile" => profile,
                "kind" => Kind(text) is { } kind ? profile with { Kind = kind } : null,
                "dtype" => DtypeExtensions.TryParse(text, out Dtype dtype) ? profile with { Dtype = dtype } : null,
                "layers" => Whole(text) is { } n ? profile with { Layers = n } : null,
                "kvHeads" => Whole(text) is { } n ? profile with { KvHeads = n } : null,
                "headDim" => Whole(text) is { } n ? profile with { HeadDim = n } : null,
                "blockTokens" => Whole(text) is { } n ? profile with { BlockTokens = n } : null,
                "ropeTheta" => Real(text) is { } x ? profile with { Rope = profile.Rope with { Theta = x } } : null,
                "ropeScaling" => Real(text) is { } x ? profile with { Rope = profile.Rope with { ScalingFactor = x } } : null,
                _ => bool.TryParse(text, out bool b) ? profile with { Rope = profile.Rope with { PreRotation = b } } : null,
            };
            if (next is null) return KvError.InvalidArgument($"namespaces: {name}", text, Allowed(name));
            profile = next;
        }

        return profile;
    }

    private static string Allowed(string name) => name switch
    {
        "kind" => "opaque, gqa or mla",
        "dtype" => string.Join(", ", Enum.GetValues<Dtype>().Select(dtype => dtype.Name())),
        "preRotation" => "true or false",
        _ => "a number",
    };

    private static AttentionKind? Kind(string text) => text switch
    {
        "opaque" => AttentionKind.Opaque,
        "gqa" => AttentionKind.Gqa,
        "mla" => AttentionKind.Mla,
        _ => null,
    };

    private static int? Whole(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) ? n : null;

    private static double? Real(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double x) ? x : null;
}
