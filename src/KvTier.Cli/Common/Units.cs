namespace KvTier.Cli;

/// <summary>Figures as people read them.</summary>
internal static class Units
{
    private static readonly string[] binary = ["B", "KiB", "MiB", "GiB", "TiB"];

    /// <summary>Bytes with a binary unit, such as <c>2.0 MiB</c>.</summary>
    public static string Bytes(double bytes)
    {
        int unit = 0;
        while (Math.Abs(bytes) >= 1024 && unit < binary.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }

        return unit == 0 ? $"{bytes:0} B" : $"{bytes:0.0} {binary[unit]}";
    }

    /// <summary>A rate in GB/s (10^9 bytes).</summary>
    public static string Rate(double bytesPerSecond) => $"{bytesPerSecond / 1e9:0.00} GB/s";

    /// <summary>A duration given in ns, in the unit that suits it.</summary>
    public static string Duration(double nanoseconds) => nanoseconds switch
    {
        < 1e3 => $"{nanoseconds:0} ns",
        < 1e6 => $"{nanoseconds / 1e3:0.0} us",
        < 1e9 => $"{nanoseconds / 1e6:0.00} ms",
        _ => $"{nanoseconds / 1e9:0.00} s",
    };

    /// <summary>A whole number with thousands separated by commas.</summary>
    public static string Count(long value) => value.ToString("N0");

    /// <summary>The tiers of a block, such as <c>host+ssd</c>; <c>-</c> for none.</summary>
    public static string Tiers(TierSet tiers)
    {
        if (tiers == TierSet.None) return "-";
        var names = new List<string>(3);
        if (tiers.HasFlag(TierSet.Device)) names.Add("device");
        if (tiers.HasFlag(TierSet.Host)) names.Add("host");
        if (tiers.HasFlag(TierSet.Ssd)) names.Add("ssd");
        return string.Join('+', names);
    }
}
