namespace KvTier.Kernels.Device;

/// <summary>The errors of this project.</summary>
internal static class DeviceErrors
{
    /// <summary>A call of a driver's library failed.</summary>
    /// <param name="call">The call.</param>
    /// <param name="code">What it answered.</param>
    public static KvError Call(string call, string code) => new(ErrorCode.Internal, call, code, "success");

    /// <summary>A program did not build; the log's last lines say where.</summary>
    public static KvError Build(string file, string log)
    {
        string text = log.Trim();
        if (text.Length > 2000) text = text[^2000..];
        return new KvError(ErrorCode.Internal, $"device program {file}", text, "a program that builds");
    }

    /// <summary>Something did not end in time.</summary>
    public static KvError TimedOut(string what, TimeSpan limit) =>
        new(ErrorCode.DeadlineExceeded, what, "not done", $"{limit.TotalSeconds:0.###} s");

    /// <summary>The device failed earlier.</summary>
    public static KvError Unavailable(KvError fault) =>
        new(ErrorCode.Unavailable, "device", $"failed ({fault.Message})", "a working device");
}
