using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary>Where a command writes: tables or one JSON document to stdout, progress and errors to stderr.</summary>
internal sealed class CliOutput
{
    private static readonly JsonSerializerOptions jsonOptions = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private readonly TextWriter stderr;
    private readonly IAnsiConsole tables;

    /// <summary>Writes to the given writers.</summary>
    /// <param name="stdout">For results.</param>
    /// <param name="stderr">For progress and errors.</param>
    /// <param name="progressTo">Console for progress bars; null shows none.</param>
    public CliOutput(TextWriter stdout, TextWriter stderr, IAnsiConsole? progressTo = null)
    {
        Stdout = stdout;
        this.stderr = stderr;
        ProgressConsole = progressTo;
        bool terminal = stdout == Console.Out && !Console.IsOutputRedirected;
        tables = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(stdout),
            Ansi = terminal ? AnsiSupport.Detect : AnsiSupport.No,
        });
        // A pipe has no width of its own; tables are not to be cut at 80 columns there.
        if (!terminal) tables.Profile.Width = 200;
    }

    /// <summary>The writer of results.</summary>
    public TextWriter Stdout { get; }

    /// <summary>Console for progress bars; null where stderr is no terminal.</summary>
    public IAnsiConsole? ProgressConsole { get; }

    /// <summary>Writes to this process's stdout and stderr.</summary>
    public static CliOutput ForProcess()
    {
        IAnsiConsole? progress = Console.IsErrorRedirected
            ? null
            : AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return new CliOutput(Console.Out, Console.Error, progress);
    }

    /// <summary>Writes one JSON document, which ends the output.</summary>
    public void Json<T>(T value) => Stdout.WriteLine(JsonSerializer.Serialize(value, jsonOptions));

    /// <summary>Writes a JSON document that is text already, indented.</summary>
    public void JsonText(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        Json(document.RootElement);
    }

    /// <summary>Writes a line to stdout.</summary>
    public void Line(string text = "") => Stdout.WriteLine(text);

    /// <summary>Writes a table to stdout.</summary>
    public void Table(Table table) => tables.Write(table);

    /// <summary>Writes one line to stderr.</summary>
    public void Error(string text) => stderr.WriteLine(text);

    /// <summary>Pushes out what is buffered.</summary>
    public void Flush()
    {
        Stdout.Flush();
        stderr.Flush();
    }
}
