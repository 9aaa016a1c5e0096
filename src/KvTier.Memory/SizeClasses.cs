namespace KvTier.Memory;

/// <summary>A size of slots that are cut from slabs.</summary>
/// <param name="Bytes">Bytes of one slot.</param>
/// <param name="Extents">Extents of one slab.</param>
internal readonly record struct SizeClass(int Bytes, int Extents)
{
    /// <summary>Slots of one slab.</summary>
    public int Slots => (int)(((long)Extents << ExtentPool.ExtentShift) / Bytes);
}

/// <summary>
/// The sizes of slots. Below 4 KiB every multiple of 512; then every power of two and three steps between each two, as far as whole pages
/// allow. A slot is at most a quarter larger than it need be, beyond the rounding to 512 or, from 4 KiB on, to 4,096.
/// </summary>
internal static class SizeClasses
{
    /// <summary>Answer of <see cref="Find"/> for lengths that take whole extents.</summary>
    public const int WholeExtents = 255;

    /// <summary>Smallest slot, and the step of the look-up table.</summary>
    public const int StepShift = 9;

    private static readonly SizeClass[] Classes = Make();
    private static readonly byte[] ByLength = MakeTable();

    /// <summary>How many classes there are.</summary>
    public static int Count => Classes.Length;

    /// <summary>A class by number.</summary>
    public static SizeClass Get(int number) => Classes[number];

    /// <summary>The class for a length.</summary>
    /// <param name="lengthBytes">1 to 64 MiB.</param>
    /// <returns>Its number; <see cref="WholeExtents"/> when a run of extents fits as well or better.</returns>
    public static int Find(int lengthBytes)
    {
        int step = (lengthBytes - 1) >> StepShift;
        return step < ByLength.Length ? ByLength[step] : WholeExtents;
    }

    private static SizeClass[] Make()
    {
        var classes = new List<SizeClass>();
        for (int bytes = 512; bytes < 4096; bytes += 512) classes.Add(new SizeClass(bytes, 1));
        for (int bytes = 4096; bytes <= 32768; bytes += 4096) classes.Add(new SizeClass(bytes, 1));
        foreach (int kib in (int[])[40, 48, 56, 64, 80, 112, 128]) classes.Add(new SizeClass(kib << 10, 1));
        // Sizes that would waste much of one extent are cut from several.
        classes.Add(new SizeClass(96 << 10, 3));
        classes.Add(new SizeClass(160 << 10, 2));
        classes.Add(new SizeClass(192 << 10, 3));
        classes.Add(new SizeClass(320 << 10, 5));
        classes.Add(new SizeClass(384 << 10, 3));
        classes.Add(new SizeClass(640 << 10, 5));
        classes.Sort((left, right) => left.Bytes.CompareTo(right.Bytes));
        return [.. classes];
    }

    private static byte[] MakeTable()
    {
        var table = new byte[Classes[^1].Bytes >> StepShift];
        for (int step = 0; step < table.Length; step++)
        {
            int length = (step + 1) << StepShift;
            int number = Array.FindIndex(Classes, candidate => candidate.Bytes >= length);
            int whole = (length + ExtentPool.ExtentBytes - 1) & -ExtentPool.ExtentBytes;
            table[step] = whole <= Classes[number].Bytes ? (byte)WholeExtents : (byte)number;
        }

        return table;
    }
}
