namespace KvTier.Cli;

/// <summary>Who chooses: a selector of the service, or a reference that only an evaluation can have.</summary>
internal interface IRecallSource
{
    /// <summary>Chooses for every head, and attends.</summary>
    /// <param name="step">The step, 0 and on; each is asked for once, in order.</param>
    /// <param name="cancel">Ends it early.</param>
    Task<StepChoice> RecallAsync(int step, CancellationToken cancel);
}
