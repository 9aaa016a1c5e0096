using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;
using KvTier.Testing;

namespace KvTier.Architecture.Tests;

public sealed class ArrowTests
{
    [Fact]
    public void SourceProjects_References_FollowTheTable()
    {
        Dictionary<string, string[]> references = ReadProjects("src");
        Assert.True(references.Count >= 8, $"only {references.Count} source projects found");
        Assert.Empty(ArrowRules.FindForbidden(references));
        Assert.Empty(ArrowRules.FindCycle(references));
    }

    [Fact]
    public void AllProjects_References_HaveNoCycle()
    {
        Dictionary<string, string[]> references = ReadProjects("src");
        foreach ((string project, string[] targets) in ReadProjects("tests")) references.Add(project, targets);
        Assert.Empty(ArrowRules.FindCycle(references));
    }

    [Fact]
    public void CompiledAssemblies_References_FollowTheTable()
    {
        var wrong = new List<string>();
        int seen = 0;
        foreach (string project in ReadProjects("src").Keys)
        {
            string path = AssemblyPath(project);
            Assert.True(File.Exists(path), $"{path} is missing: the architecture tests must reference every source project");
            HashSet<string> reachable = ArrowRules.Reachable(project);
            wrong.AddRange(ReadAssemblyReferences(path).Where(name => !reachable.Contains(name)).Select(name => $"{project} uses {name}"));
            seen++;
        }

        Assert.True(seen >= 8);
        Assert.Empty(wrong);
    }

    [Fact]
    public void ReadAssemblyReferences_KnownAssembly_FindsWhatItUses() =>
        Assert.Equal(["KvTier.Abstractions"], ReadAssemblyReferences(AssemblyPath("KvTier.Memory")));

    [Fact]
    public void FindForbidden_BadSamples_AreFound()
    {
        Assert.Equal(["KvTier.Engine -> KvTier.Storage"],
            ArrowRules.FindForbidden(Graph(("KvTier.Engine", ["KvTier.Abstractions", "KvTier.Storage"]))));
        Assert.Equal(["KvTier.Memory -> KvTier.Testing"], ArrowRules.FindForbidden(Graph(("KvTier.Memory", ["KvTier.Testing"]))));
        Assert.Equal(["KvTier.Client -> KvTier.Engine"], ArrowRules.FindForbidden(Graph(("KvTier.Client", ["KvTier.Engine"]))));
        Assert.Equal(["KvTier.Extra is not in the table of projects"], ArrowRules.FindForbidden(Graph(("KvTier.Extra", []))));
        Assert.Empty(ArrowRules.FindForbidden(Graph(("KvTier.Client", ["KvTier.Protocol"]))));
    }

    [Fact]
    public void FindCycle_Cycle_IsFound()
    {
        Assert.Equal(["A", "B", "C", "A"], ArrowRules.FindCycle(Graph(("A", ["B"]), ("B", ["C"]), ("C", ["A"]))));
        Assert.Equal(["A", "A"], ArrowRules.FindCycle(Graph(("A", ["A"]))));
        Assert.Empty(ArrowRules.FindCycle(Graph(("A", ["B", "C"]), ("B", ["C"]), ("C", []))));
    }

    [Fact]
    public void Table_Itself_HasNoCycleAndKeepsEngineAndClusterApart()
    {
        Assert.Empty(ArrowRules.FindCycle(ArrowRules.Allowed));
        Assert.DoesNotContain("KvTier.Cluster", ArrowRules.Reachable("KvTier.Engine"));
        Assert.DoesNotContain("KvTier.Engine", ArrowRules.Reachable("KvTier.Cluster"));
        Assert.DoesNotContain("KvTier.Engine", ArrowRules.Reachable("KvTier.Client"));
    }

    private static Dictionary<string, string[]> Graph(params (string Project, string[] Targets)[] arrows) =>
        arrows.ToDictionary(arrow => arrow.Project, arrow => arrow.Targets, StringComparer.Ordinal);

    private static Dictionary<string, string[]> ReadProjects(string folder)
    {
        var projects = new Dictionary<string, string[]>(StringComparer.Ordinal);
        foreach (string path in Directory.GetFiles(RepositoryFiles.PathOf(folder), "*.csproj", SearchOption.AllDirectories))
        {
            IEnumerable<string> targets = XDocument.Load(path).Descendants("ProjectReference")
                .Select(reference => Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/')));
            projects.Add(Path.GetFileNameWithoutExtension(path), [.. targets]);
        }

        return projects;
    }

    /// <summary>The Cli's assembly is named after the command that people type.</summary>
    private static string AssemblyPath(string project)
    {
        string path = Path.Combine(AppContext.BaseDirectory, project + ".dll");
        return project == "KvTier.Cli" && !File.Exists(path) ? Path.Combine(AppContext.BaseDirectory, "kvtier.dll") : path;
    }

    private static string[] ReadAssemblyReferences(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        MetadataReader reader = file.GetMetadataReader();
        IEnumerable<string> names = reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name));
        return [.. names.Where(name => name.StartsWith("KvTier.", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }
}
