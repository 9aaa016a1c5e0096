namespace KvTier.Silo;

/// <summary>The name of a silo that nobody has named: in a cluster it must be its own, so that of the machine is taken.</summary>
internal static class SiloName
{
    /// <summary>What a silo is called that has no name.</summary>
    public const string Default = "silo";

    /// <summary>Options in which the name is the one that the silo goes by.</summary>
    public static SiloOptions Resolve(SiloOptions options) =>
        options.Cluster.IsOn && options.Name == Default ? options with { Name = Of(Environment.MachineName) } : options;

    /// <summary>A machine's name as a silo's: small letters, a dash for what names may not have.</summary>
    public static string Of(string machine)
    {
        string name = new([.. machine.Take(Names.LengthMax)
            .Select(char.ToLowerInvariant)
            .Select(c => Names.IsValid(c.ToString()) ? c : '-')]);
        return Names.IsValid(name) ? name : Default;
    }
}
