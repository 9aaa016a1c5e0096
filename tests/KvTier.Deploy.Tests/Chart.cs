using System.Diagnostics;
using KvTier.Testing;
using YamlDotNet.RepresentationModel;

namespace KvTier.Deploy.Tests;

/// <summary>The chart as Helm would render it, by a small Go program over the template engine and functions that Helm uses.</summary>
internal sealed class Chart
{
    private static readonly Lazy<string> renderer = new(BuildRenderer);

    private Chart(string text)
    {
        int notes = text.IndexOf("\n# NOTES\n", StringComparison.Ordinal);
        Notes = text[(notes + "\n# NOTES\n".Length)..];
        Objects = Yaml.Documents(text[..notes]);
    }

    /// <summary>Everything that would be made.</summary>
    public IReadOnlyList<YamlNode> Objects { get; }

    /// <summary>What is shown after the installation.</summary>
    public string Notes { get; }

    /// <summary>The folder of the chart.</summary>
    public static string Folder => RepositoryFiles.PathOf("helm", "kvtier");

    /// <summary>The objects of a kind.</summary>
    public IReadOnlyList<YamlNode> Of(string kind) => [.. Objects.Where(each => each.Text("kind") == kind)];

    /// <summary>Renders the chart.</summary>
    /// <param name="values">YAML that is laid over the chart's own values.</param>
    public static Chart Render(string values)
    {
        (int code, string output, string errors) = Run(values);
        Assert.True(code == 0, errors);
        return new Chart(output);
    }

    /// <summary>Renders values that the chart refuses.</summary>
    /// <returns>What it says.</returns>
    public static string RenderRefused(string values)
    {
        (int code, _, string errors) = Run(values);
        Assert.NotEqual(0, code);
        return errors;
    }

    private static (int Code, string Output, string Errors) Run(string values)
    {
        using var folder = new TempDirectory();
        File.WriteAllText(folder["values.yaml"], values);
        return RunProgram(renderer.Value, [Folder, "kv", "prod", folder["values.yaml"]]);
    }

    private static string BuildRenderer()
    {
        string source = RepositoryFiles.PathOf("tests", "KvTier.Deploy.Tests", "render", "main.go");
        string program = Path.Combine(AppContext.BaseDirectory, "render-chart");
        (int code, _, string errors) = RunProgram("go", ["build", "-o", program, source]);
        return code == 0 ? program : throw new InvalidOperationException($"go build: {errors}");
    }

    private static (int Code, string Output, string Errors) RunProgram(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Debian keeps the sources of its Go packages in one workspace, as before there were modules.
        start.Environment["GO111MODULE"] = "off";
        start.Environment["GOPATH"] = "/usr/share/gocode";
        start.Environment["GOFLAGS"] = "";
        start.Environment["GOCACHE"] = Path.Combine(AppContext.BaseDirectory, "go-cache");
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(5)))
        {
            process.Kill();
            throw new InvalidOperationException($"{program} did not end");
        }

        return (process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }
}
