using System.Reflection;

namespace KvTier.Architecture.Tests;

/// <summary>Seams stay small: an interface of Abstractions has at most seven members.</summary>
public sealed class SeamTests
{
    private const int MembersMax = 7;

    private interface IWide
    {
        int A { get; set; }

        int B { get; }

        event EventHandler? C;

        void D();

        void E();

        void F();

        void G();

        void H();
    }

    [Fact]
    public void Abstractions_Interfaces_HaveAtMostSevenMembers()
    {
        Type[] seams = [.. typeof(IBlockLog).Assembly.GetTypes().Where(type => type.IsInterface)];
        Assert.Contains(typeof(IBlockLog), seams);
        Assert.Empty(seams.Where(seam => CountMembers(seam) > MembersMax).Select(seam => $"{seam.Name} has {CountMembers(seam)} members"));
    }

    [Fact]
    public void CountMembers_PropertiesAndEvents_CountOnce() => Assert.Equal(8, CountMembers(typeof(IWide)));

    private static int CountMembers(Type seam) =>
        seam.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static).Count(
            member => member is not MethodInfo { IsSpecialName: true });
}
