namespace KvTier.Cli;

/// <summary>One way to decode; times are of a whole step, all layers one after the other.</summary>
/// <param name="Name">What is done.</param>
/// <param name="Reuse">What is used again from step to step; <c>none</c> for nothing.</param>
/// <param name="HotSetBytes">Bytes of the hot set; 0 for none.</param>
/// <param name="HostBytes">Bytes of host memory for blocks.</param>
/// <param name="Steps">Steps measured.</param>
/// <param name="FirstStepMs">The first step, with nothing at hand.</param>
/// <param name="StepMsP50">Median of the steps after it.</param>
/// <param name="StepMsP99">99th percentile of them.</param>
/// <param name="SsdBytesPerStep">Bytes read from the SSD, a mean over the steps after the first.</param>
/// <param name="KvBytesPerStep">Bytes of K and V read, from wherever.</param>
/// <param name="SentBytesPerStep">Bytes that the caller got.</param>
/// <param name="HotHitRatio">Chunks that the hot set had, of those that are not in a block in host memory; null without a hot set.</param>
/// <param name="ReusedShare">Share of recalls that an earlier choice served.</param>
internal sealed record DecodeRow(
    string Name, string Reuse, long HotSetBytes, long HostBytes, int Steps, double FirstStepMs, double StepMsP50, double StepMsP99,
    double SsdBytesPerStep, double KvBytesPerStep, double SentBytesPerStep, double? HotHitRatio, double ReusedShare);
