using Spectre.Console;

namespace KvTier.Cli;

/// <summary>A progress bar on stderr while work runs; nothing where stderr is no terminal.</summary>
internal sealed class CliProgress
{
    private readonly ProgressTask? task;

    private CliProgress(ProgressTask? task) => this.task = task;

    /// <summary>Runs work with a bar.</summary>
    /// <param name="output">Says whether there is a terminal.</param>
    /// <param name="title">What the bar says.</param>
    /// <param name="total">Steps in all.</param>
    /// <param name="work">The work, which reports its steps.</param>
    public static async Task<T> RunAsync<T>(CliOutput output, string title, double total, Func<CliProgress, Task<T>> work)
    {
        if (output.ProgressConsole is not { } console) return await work(new CliProgress(null));
        return await console.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(context => work(new CliProgress(context.AddTask(Markup.Escape(title), maxValue: Math.Max(total, 1)))));
    }

    /// <summary>Adds steps that are done.</summary>
    public void Add(double steps) => task?.Increment(steps);

    /// <summary>Says what is going on now.</summary>
    public void Say(string title)
    {
        if (task is not null) task.Description = Markup.Escape(title);
    }
}
