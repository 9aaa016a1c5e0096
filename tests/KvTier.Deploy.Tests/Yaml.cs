using YamlDotNet.RepresentationModel;

namespace KvTier.Deploy.Tests;

/// <summary>Reads YAML, and finds what a path names in it.</summary>
internal static class Yaml
{
    /// <summary>The documents of a text; empty ones are left out.</summary>
    public static List<YamlNode> Documents(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(document => document.RootNode).Where(root => root is YamlMappingNode)];
    }

    /// <summary>What a path of keys and indexes leads to; null when it leads nowhere.</summary>
    public static YamlNode? Find(this YamlNode? node, params ReadOnlySpan<string> path)
    {
        foreach (string step in path)
        {
            node = node switch
            {
                YamlMappingNode map => map.Children.TryGetValue(new YamlScalarNode(step), out YamlNode? child) ? child : null,
                YamlSequenceNode list when int.TryParse(step, out int index) && index < list.Children.Count => list.Children[index],
                _ => null,
            };
        }

        return node;
    }

    /// <summary>The text at a path.</summary>
    public static string Text(this YamlNode node, params ReadOnlySpan<string> path) =>
        node.Find(path) is YamlScalarNode scalar
            ? scalar.Value ?? ""
            : throw new InvalidDataException($"no text at {string.Join('.', path.ToArray())}");

    /// <summary>The items of the list at a path; none when there is no list.</summary>
    public static IReadOnlyList<YamlNode> Items(this YamlNode node, params ReadOnlySpan<string> path) =>
        node.Find(path) is YamlSequenceNode list ? [.. list.Children] : [];

    /// <summary>The texts of the list at a path.</summary>
    public static string[] Texts(this YamlNode node, params ReadOnlySpan<string> path) =>
        [.. node.Items(path).Select(item => ((YamlScalarNode)item).Value ?? "")];

    /// <summary>The texts of the map at a path, by key; none when there is no map.</summary>
    public static Dictionary<string, string> Map(this YamlNode node, params ReadOnlySpan<string> path) =>
        node.Find(path) is YamlMappingNode map
            ? map.Children.ToDictionary(each => ((YamlScalarNode)each.Key).Value!, each => (each.Value as YamlScalarNode)?.Value ?? "")
            : [];
}
