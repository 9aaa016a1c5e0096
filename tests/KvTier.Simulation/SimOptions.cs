using System.Globalization;

namespace KvTier.Simulation;

/// <summary>Arguments of the command.</summary>
internal sealed record SimOptions
{
    internal int Seed { get; private set; } = 1;

    internal int Seeds { get; private set; } = 1;

    internal int Steps { get; private set; } = 120;

    internal int Silos { get; private set; }

    /// <summary>Silos whose messages are to be counted; 0 for seeds.</summary>
    internal int Scale { get; private set; }

    internal int Jobs { get; private set; } = Environment.ProcessorCount;

    internal Plant Plant { get; private set; }

    internal bool Verbose { get; private set; }

    internal bool Shrink { get; private set; } = true;

    /// <summary>Reads arguments.</summary>
    /// <returns>Null, or what is wrong with them.</returns>
    internal static string? TryParse(string[] args, out SimOptions options)
    {
        options = new SimOptions();
        for (int i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--verbose":
                    options.Verbose = true;
                    continue;
                case "--no-shrink":
                    options.Shrink = false;
                    continue;
            }

            if (i + 1 == args.Length) return $"{args[i]} is not known, or its value is missing";
            string name = args[i++];
            if (name == "--plant")
            {
                if (!Enum.TryParse(args[i], ignoreCase: true, out Plant plant)) return $"there is no plant {args[i]}";
                options.Plant = plant;
                continue;
            }

            if (!int.TryParse(args[i], NumberStyles.None, CultureInfo.InvariantCulture, out int value))
                return $"{name} {args[i]} is no number";
            if (options.Set(name, value) is { } wrong) return wrong;
        }

        return null;
    }

    private string? Set(string name, int value)
    {
        (int least, int most) = name switch
        {
            "--seed" => (0, int.MaxValue - 1_000_000),
            "--seeds" => (1, 1_000_000),
            "--steps" => (0, 100_000),
            "--silos" => (2, 7),
            "--scale" => (4, 1000),
            "--jobs" => (1, 256),
            _ => (0, -1),
        };
        if (most < 0) return $"{name} is not known";
        if (value < least || value > most) return $"{name} is {value}; allowed: {least} to {most}";
        switch (name)
        {
            case "--seed":
                Seed = value;
                break;
            case "--seeds":
                Seeds = value;
                break;
            case "--steps":
                Steps = value;
                break;
            case "--silos":
                Silos = value;
                break;
            case "--scale":
                Scale = value;
                break;
            default:
                Jobs = value;
                break;
        }

        return null;
    }
}
