using KvTier.Testing;

namespace KvTier.Deploy.Tests;

public sealed class SchemaTests
{
    private const string Validate =
        """
        import json, sys, jsonschema
        schema = json.load(open(sys.argv[1]))
        jsonschema.Draft7Validator.check_schema(schema)
        values = json.loads(sys.argv[2])
        errors = jsonschema.Draft7Validator(schema).iter_errors(values)
        print("\n".join(sorted(f"{'.'.join(map(str, e.absolute_path))}: {e.message}" for e in errors)))
        """;

    [Fact]
    public void Schema_DefaultValues_AreAccepted()
    {
        Assert.Equal("", ErrorsOf(YamlToJson(File.ReadAllText(Path.Combine(Chart.Folder, "values.yaml")))));
    }

    [Theory]
    [MemberData(nameof(ChartValues.All), MemberType = typeof(ChartValues))]
    public void Schema_ValuesOfTheTests_AreAccepted(string values) => Assert.Equal("", ErrorsOf(YamlToJson(values)));

    [Theory]
    [InlineData("""{"replicaCount":0}""", "replicaCount")]
    [InlineData("""{"replicaCount":"3"}""", "replicaCount")]
    [InlineData("""{"cluster":{"replicas":4}}""", "cluster.replicas")]
    [InlineData("""{"cluster":{"name":"No Spaces"}}""", "cluster.name")]
    [InlineData("""{"etcd":{"endpoints":["etcd:2379"]}}""", "etcd.endpoints.0")]
    [InlineData("""{"persistence":{"size":"100"}}""", "persistence.size")]
    [InlineData("""{"drain":{"onStop":"sometimes"}}""", "drain.onStop")]
    [InlineData("""{"silo":{"hostMib":4096}}""", "silo")]
    [InlineData("""{"zones":["a","a"]}""", "zones")]
    public void Schema_WrongValue_IsNamed(string values, string path) =>
        Assert.StartsWith($"{path}: ", ErrorsOf(values), StringComparison.Ordinal);

    private static string ErrorsOf(string json) =>
        Python.RunWith("jsonschema", Validate, Path.Combine(Chart.Folder, "values.schema.json"), json).Trim();

    private static string YamlToJson(string yaml) =>
        Python.RunWith("yaml", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))", yaml);
}
