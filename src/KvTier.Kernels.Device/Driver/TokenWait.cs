using System.Diagnostics;

namespace KvTier.Kernels.Device;

/// <summary>
/// Waits with a deadline by asking again and again: neither API has a wait that gives up. Most kernels end within a few hundred
/// microseconds, so it yields for that long and then sleeps a millisecond at a time.
/// </summary>
internal static class TokenWait
{
    private static readonly TimeSpan YieldFor = TimeSpan.FromMicroseconds(300);

    /// <summary>Asks until there is an answer or the time has passed.</summary>
    /// <param name="driver">Whom to ask.</param>
    /// <param name="token">What to ask for.</param>
    /// <param name="timeout">How long; zero asks once.</param>
    /// <param name="ask">Answers <see cref="DeviceWaitStatus.TimedOut"/> while the work goes on.</param>
    public static DeviceWait Until<TDriver>(
        TDriver driver, DeviceToken token, TimeSpan timeout, Func<TDriver, DeviceToken, DeviceWait> ask)
    {
        if (token.IsNone) return new DeviceWait(DeviceWaitStatus.Done);
        long startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            DeviceWait answer = ask(driver, token);
            if (answer.Status != DeviceWaitStatus.TimedOut) return answer;
            TimeSpan passed = Stopwatch.GetElapsedTime(startedAt);
            if (passed >= timeout) return answer;
            if (passed < YieldFor) Thread.Yield();
            else Thread.Sleep(1);
        }
    }
}
