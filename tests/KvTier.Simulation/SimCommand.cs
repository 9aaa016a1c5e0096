using System.Diagnostics;
using System.Globalization;

namespace KvTier.Simulation;

/// <summary>The command: runs seeds, and shows for each that fails the shortest trace it can find.</summary>
internal static class SimCommand
{
    private const string Usage = """
        usage: ./dev sim [--seed N] [--seeds K] [--steps M] [--silos S] [--plant NAME] [--jobs J] [--verbose] [--no-shrink]
               ./dev sim --scale N [--seed N]

          --seed N      first seed; default 1
          --seeds K     seeds from there on; default 1
          --steps M     operations, changes and faults of a run; default 120
          --silos S     silos at the start, 2 to 7; default what the seed says, 3 to 5
          --plant NAME  puts a bug in: {0}
          --jobs J      seeds at a time; default the number of processors
          --scale N     no faults: counts the messages of N silos, 4 to 1000, at rest, while one dies, while one joins
          --verbose     prints the whole trace of every seed
          --no-shrink   prints the trace of a seed that fails as it is
        """;

    /// <summary>Runs it.</summary>
    /// <returns>0 when all seeds pass, 1 when some fail, 2 for arguments that can't be.</returns>
    internal static int Run(string[] args)
    {
        if (SimOptions.TryParse(args, out SimOptions options) is { } wrong)
        {
            Console.Error.WriteLine($"sim: {wrong}");
            Console.Error.WriteLine(string.Format(CultureInfo.InvariantCulture, Usage, string.Join(", ", Enum.GetNames<Plant>().Skip(1))));
            return 2;
        }

        if (options.Scale > 0) return RunScale(options);
        var clock = Stopwatch.StartNew();
        SimTotals totals = SimBatch.Run(
            options.Seed, options.Seeds, options.Steps, options.Silos, options.Plant, options.Jobs,
            (plan, result) => Show(options, plan, result));
        Console.WriteLine(FormattableString.Invariant($"{totals.Seeds} seeds, {totals.Failed} failed; {totals.Events} events, ")
            + FormattableString.Invariant($"{totals.VirtualTicks / Ticks.Second} s of virtual time, ")
            + FormattableString.Invariant($"{clock.Elapsed.TotalSeconds:0.0} s of real time"));
        return totals.Failed == 0 ? 0 : 1;
    }

    private static int RunScale(SimOptions options)
    {
        var clock = Stopwatch.StartNew();
        foreach (string line in ScaleTable.Of(options.Scale, ScaleRun.Run(options.Scale, options.Seed))) Console.WriteLine(line);
        Console.WriteLine(FormattableString.Invariant($"{clock.Elapsed.TotalSeconds:0.0} s of real time"));
        return 0;
    }

    private static void Show(SimOptions options, SimPlan plan, SimResult result)
    {
        if (result.Failure is not { } failure)
        {
            if (options.Verbose) Console.Write(result.Trace);
            return;
        }

        Console.WriteLine($"seed {plan.Seed} failed: {failure.Message}");
        if (options.Verbose || !options.Shrink)
        {
            Console.Write(options.Verbose ? result.Trace : "");
            return;
        }

        SimPlan shortest = Shrinker.Shrink(plan, failure.Oracle, options.Plant, runsMax: 200);
        SimResult again = SimRunner.Run(shortest, options.Plant);
        Console.WriteLine($"{shortest.Steps.Count} of {plan.Steps.Count} steps are enough:");
        foreach (SimStep step in shortest.Steps) Console.WriteLine($"  {step}");
        Console.Write(again.Trace);
        Console.WriteLine($"{again.Failure?.Message}");
        string silos = options.Silos > 0 ? $" --silos {options.Silos}" : "";
        string plant = options.Plant == Plant.None ? "" : $" --plant {options.Plant}";
        Console.WriteLine($"replay: ./dev sim --seed {plan.Seed} --steps {options.Steps}{silos}{plant}");
    }
}
