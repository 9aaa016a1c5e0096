namespace KvTier.Recall.Tests.Digests;

public class SelectorPageTests
{
    [Fact]
    public void Reference_ListsEveryPresetAndField()
    {
        string page = File.ReadAllText(RepositoryFiles.PathOf("docs", "reference", "selectors.md"));
        foreach (Selector preset in Selectors.BuiltIn) Assert.Contains($"\n| `{preset.Name}` |", page);
        foreach (string field in Fields(typeof(DigestSpec)).Concat(Fields(typeof(Selector)))) Assert.Contains($"`{field}`", page);
    }

    private static IEnumerable<string> Fields(Type type) =>
        type.GetProperties().Where(property => property.CanWrite && property.Name != "Name").Select(property => property.Name);
}
