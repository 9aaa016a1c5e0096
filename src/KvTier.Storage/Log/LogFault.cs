using KvTier.Storage.Device;

namespace KvTier.Storage.Log;

/// <summary>The first failure of the device that can't be undone; from then on appends and commits are refused, reads go on.</summary>
internal sealed class LogFault
{
    private KvError? error;

    /// <summary>Called once, after the fault is set.</summary>
    public Action? OnSet { get; set; }

    public KvError? Error => Volatile.Read(ref error);

    public void Set(string what, int errno) =>
        Set(new KvError(ErrorCode.IoError, what, Native.Describe(errno), "a device that works; restart the silo"));

    public void Set(KvError fault)
    {
        if (Interlocked.CompareExchange(ref error, fault, null) is null) OnSet?.Invoke();
    }
}
