using System.Globalization;

namespace KvTier.Storage.Tests;

public sealed class DataDirectoryTests : IDisposable
{
    private readonly string path = LogFixture.NewDirectory();

    [Fact]
    public void Open_OwnedByAnother_IsRefusedWithTheOwnersPid()
    {
        using DataDirectory first = DataDirectory.Open(path).Value;
        KvError error = DataDirectory.Open(path).Error!;
        Assert.Equal(ErrorCode.Busy, error.Code);
        Assert.Contains($"pid {Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}", error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_AfterTheOwnerHasGone_Succeeds()
    {
        DataDirectory.Open(path).Value.Dispose();
        using DataDirectory again = DataDirectory.Open(path).Value;
        Assert.Equal(Path.Combine(path, "log"), again.LogPath);
    }

    [Fact]
    public void ReadIdentity_OfAFolder_IsMadeOnceAndKept()
    {
        byte[] first = [.. Enumerable.Range(0, DataDirectory.IdentityBytes).Select(i => (byte)i)];
        using (DataDirectory folder = DataDirectory.Open(path).Value)
            Assert.Equal("000102030405060708090a0b0c0d0e0f", folder.ReadIdentity(first).Value);
        using DataDirectory again = DataDirectory.Open(path).Value;
        Assert.Equal("000102030405060708090a0b0c0d0e0f", again.ReadIdentity(new byte[DataDirectory.IdentityBytes]).Value);
    }

    [Fact]
    public void WriteCluster_AgainAndAgain_KeepsTheLast()
    {
        using (DataDirectory folder = DataDirectory.Open(path).Value)
        {
            Assert.Equal((0L, 0), folder.ReadCluster().Value);
            Assert.Null(folder.WriteCluster(57, 3));
            Assert.Null(folder.WriteCluster(1L << 40, 1000));
        }

        using DataDirectory again = DataDirectory.Open(path).Value;
        Assert.Equal((1L << 40, 1000), again.ReadCluster().Value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("epoch 5")]
    [InlineData("epoch -5 silos 3")]
    [InlineData("epoch 9223372036854775807 silos 3")]
    [InlineData("epoch 5 silos 3 more")]
    public void ReadCluster_OfSomethingElse_IsRefused(string text)
    {
        using DataDirectory folder = DataDirectory.Open(path).Value;
        File.WriteAllText(Path.Combine(path, "cluster"), text);
        KvError error = folder.ReadCluster().Error!;
        Assert.Equal((ErrorCode.Corrupt, text), (error.Code, error.Value));
    }

    [Fact]
    public void ReadIdentity_OfSomethingElse_IsRefusedAndLeftAlone()
    {
        File.WriteAllText(Path.Combine(path, "identity"), "mine");
        using DataDirectory folder = DataDirectory.Open(path).Value;
        KvError error = folder.ReadIdentity(new byte[DataDirectory.IdentityBytes]).Error!;
        Assert.Equal((ErrorCode.Corrupt, "mine"), (error.Code, error.Value));
        Assert.Equal("mine", File.ReadAllText(Path.Combine(path, "identity")));
    }

    [Theory]
    [InlineData("kvtier-data 3\n", ErrorCode.VersionMismatch, "3")]
    [InlineData("kvtier-data 0\n", ErrorCode.VersionMismatch, "0")]
    [InlineData("something else", ErrorCode.Corrupt, "something else")]
    [InlineData("", ErrorCode.Corrupt, "")]
    public void Open_OtherFormat_IsRefusedNamingBothVersionsAndHarmsNothing(string text, ErrorCode code, string value)
    {
        string format = Path.Combine(path, "FORMAT");
        File.WriteAllText(format, text);
        KvError error = DataDirectory.Open(path).Error!;
        Assert.Equal(code, error.Code);
        Assert.Equal(value, error.Value);
        Assert.Contains("1", error.Limit, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(format));
        File.Delete(format);
        DataDirectory.Open(path).Value.Dispose();
    }

    [Fact]
    public void Namespaces_SavedThenLoaded_AreTheSame()
    {
        using DataDirectory data = DataDirectory.Open(path).Value;
        Assert.Empty(data.Namespaces.Load().Value);
        NamespaceDescriptor[] all = [.. Profiles.BuiltIn.Select(profile => new NamespaceDescriptor("tenant-1", profile))];
        Assert.Null(data.Namespaces.Save(all));
        Assert.Equal(all, data.Namespaces.Load().Value);
        Assert.Equal(all.Select(descriptor => descriptor.Id), data.Namespaces.Load().Value.Select(descriptor => descriptor.Id));
        Assert.Null(data.Namespaces.Save([all[1]]));
        Assert.Equal([all[1]], data.Namespaces.Load().Value);
        Assert.Empty(Directory.EnumerateFiles(path, "*.tmp"));
    }

    [Fact]
    public void Namespaces_EveryCutAndEveryFlippedByte_GiveTheSavedListOrAnErrorNeverAnother()
    {
        using DataDirectory data = DataDirectory.Open(path).Value;
        NamespaceDescriptor[] saved = [new("tenant-1", Profiles.Opaque), new("tenant-2", Profiles.Qwen3_8B)];
        Assert.Null(data.Namespaces.Save(saved));
        string file = Path.Combine(path, "namespaces.json");
        byte[] good = File.ReadAllBytes(file);
        for (int i = 0; i < good.Length; i++)
        {
            File.WriteAllBytes(file, good[..i]);
            Assert.NotNull(data.Namespaces.Load().Error);
            byte[] flipped = [.. good];
            flipped[i] ^= (byte)(1 << (i % 8));
            File.WriteAllBytes(file, flipped);
            if (data.Namespaces.Load().TryGet(out NamespaceDescriptor[]? list, out KvError? error)) Assert.Equal(saved, list);
            else Assert.Contains("namespaces.json", error.Message, StringComparison.Ordinal);
        }
    }

    public void Dispose() => Directory.Delete(path, recursive: true);
}
