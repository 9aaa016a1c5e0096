using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier sequence list|describe|open|append|fork|close</c>: sequences by hand.</summary>
internal static class SequenceCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("sequence", "Open, extend, fork and close sequences of stored blocks, which recall searches.");
        command.Subcommands.Add(List(output));
        command.Subcommands.Add(Describe(output));
        command.Subcommands.Add(Open(output));
        command.Subcommands.Add(Append(output));
        command.Subcommands.Add(Fork(output));
        command.Subcommands.Add(Close(output));
        return command;
    }

    private static Command List(CliOutput output) => SequenceVerb.Create(
        output, new Command("list", "List the sequences of a namespace."), takesName: false, ArgumentArity.Zero,
        async run => (await run.Namespace.ListSequencesAsync(cancellationToken: run.Cancel)).OrFail());

    private static Command Describe(CliOutput output) => SequenceVerb.Create(
        output, new Command("describe", "Say what the silo knows of a sequence."), takesName: true, ArgumentArity.Zero,
        async run => [(await run.Namespace.FindSequenceAsync(run.Name, cancellationToken: run.Cancel)).OrFail().Latest]);

    private static Command Open(CliOutput output)
    {
        var command = new Command("open", "Open a sequence, and append the blocks whose keys are given.");
        var selectors = new Option<string[]>("--selector")
        {
            Description = "Presets whose digests it keeps; may be given up to 8 times.",
            DefaultValueFactory = _ => [Selectors.Moments.Name],
        };
        Option<long?> tokens = Tokens(command);
        command.Options.Add(selectors);
        return SequenceVerb.Create(output, command, takesName: true, ArgumentArity.ZeroOrMore, async run =>
        {
            DigestSpec[] digests = [.. run.Parsed.GetValue(selectors)!.Select(DigestOf).Distinct()];
            var options = new SequenceOptions { Digests = digests };
            KvClusterSequence sequence = (await run.Namespace.OpenSequenceAsync(run.Name, options, cancellationToken: run.Cancel)).OrFail();
            return [await SequenceVerb.AppendAsync(sequence, run, run.Parsed.GetValue(tokens), replaceLast: false)];
        });
    }

    private static Command Append(CliOutput output)
    {
        var command = new Command("append", "Append stored blocks to a sequence.");
        Option<long?> tokens = Tokens(command);
        var replace = new Option<bool>("--replace-last")
        {
            Description = "The first block takes the place of the last one so far, which was partly filled.",
        };
        command.Options.Add(replace);
        return SequenceVerb.Create(output, command, takesName: true, ArgumentArity.OneOrMore, async run =>
        {
            KvClusterSequence sequence = (await run.Namespace.FindSequenceAsync(run.Name, cancellationToken: run.Cancel)).OrFail();
            return [await SequenceVerb.AppendAsync(sequence, run, run.Parsed.GetValue(tokens), run.Parsed.GetValue(replace))];
        });
    }

    private static Command Fork(CliOutput output)
    {
        var command = new Command("fork", "Make a sequence that begins as another one does and shares its blocks and digests.");
        var newName = new Option<string>("--as") { Description = "Name of the new one.", Required = true };
        var tokens = new Option<long>("--tokens") { Description = "Tokens to keep, a whole number of blocks; 0 for all." };
        command.Options.Add(newName);
        command.Options.Add(tokens);
        return SequenceVerb.Create(output, command, takesName: true, ArgumentArity.Zero, async run =>
        {
            long kept = run.Parsed.GetValue(tokens);
            if (kept < 0) throw CliException.Usage("--tokens", kept, "0 or more");
            KvClusterSequence sequence = (await run.Namespace.FindSequenceAsync(run.Name, cancellationToken: run.Cancel)).OrFail();
            return [(await sequence.ForkAsync(run.Parsed.GetValue(newName)!, kept, cancellationToken: run.Cancel)).OrFail().Latest];
        });
    }

    private static Command Close(CliOutput output) => SequenceVerb.Create(
        output, new Command("close", "Forget a sequence; its blocks stay."), takesName: true, ArgumentArity.Zero, async run =>
        {
            KvClusterSequence sequence = (await run.Namespace.FindSequenceAsync(run.Name, cancellationToken: run.Cancel)).OrFail();
            return [(await sequence.CloseAsync(cancellationToken: run.Cancel)).OrFail()];
        });

    private static Option<long?> Tokens(Command command)
    {
        var tokens = new Option<long?>("--tokens") { Description = "Tokens in the blocks; as many as they have room for if left out." };
        tokens.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && long.TryParse(result.Tokens[0].Value, out long given) && given < 1)
                result.AddError($"--tokens is {given}; allowed: 1 or more");
        });
        command.Options.Add(tokens);
        return tokens;
    }

    private static DigestSpec DigestOf(string selector) => Selectors.Find(selector)?.Digest
        ?? throw CliException.Usage("--selector", selector, string.Join(", ", Selectors.BuiltIn.Select(known => known.Name)));
}
