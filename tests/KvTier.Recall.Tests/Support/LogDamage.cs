namespace KvTier.Recall.Tests;

/// <summary>Damages a log as a failing device does.</summary>
internal static class LogDamage
{
    /// <summary>Flips a bit of some bytes wherever they stand in the files of a folder.</summary>
    internal static void Flip(string folder, byte[] bytes)
    {
        int flipped = 0;
        foreach (string path in Directory.GetFiles(folder, "*", SearchOption.AllDirectories))
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            var content = new byte[file.Length];
            file.ReadExactly(content);
            int at = content.AsSpan().IndexOf(bytes);
            if (at < 0) continue;
            file.Position = at + 3;
            file.WriteByte((byte)(content[at + 3] ^ 0x10));
            file.Flush(flushToDisk: true);
            flipped++;
        }

        Assert.NotEqual(0, flipped);
    }
}
