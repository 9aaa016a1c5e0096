using System.Collections.Concurrent;
using KvTier.Kernels.Device;

namespace KvTier.Testing;

/// <summary>What a driver is asked to do.</summary>
public enum DeviceOperation
{
    /// <summary>Allocate memory.</summary>
    Allocate,

    /// <summary>Copy to the device.</summary>
    CopyIn,

    /// <summary>Copy to the host.</summary>
    CopyOut,

    /// <summary>Launch a kernel.</summary>
    Launch,
}

/// <summary>How it goes wrong.</summary>
public enum DeviceFault
{
    /// <summary>The call answers with an error; nothing is started.</summary>
    Refused,

    /// <summary>It starts, then fails, and its queue with it.</summary>
    Fails,

    /// <summary>It starts and never ends, nor does anything behind it on its queue. A wait answers at once as if its time had passed.
    /// </summary>
    NeverEnds,
}

/// <summary>A real driver of which chosen operations go wrong. Thread-safe.</summary>
public sealed class FaultyDeviceDriver(IDeviceDriver inner) : IDeviceDriver
{
    private readonly ConcurrentDictionary<DeviceToken, DeviceFault> marked = new();
    private readonly Lock counting = new();
    private readonly int[] counts = new int[Enum.GetValues<DeviceOperation>().Length];
    private readonly List<(DeviceOperation Operation, int Number, DeviceFault Fault)> plans = [];
    private readonly DeviceFault?[] queues = new DeviceFault?[Enum.GetValues<DeviceQueue>().Length];

    /// <inheritdoc/>
    public DeviceInfo Info => inner.Info;

    /// <inheritdoc/>
    public int LiveHandles => inner.LiveHandles;

    /// <summary>Makes an operation go wrong.</summary>
    /// <param name="operation">Which kind.</param>
    /// <param name="number">Which one of that kind, counted from now: 1 is the next.</param>
    /// <param name="fault">How.</param>
    public void Inject(DeviceOperation operation, int number, DeviceFault fault)
    {
        lock (counting) plans.Add((operation, counts[(int)operation] + number, fault));
    }

    /// <summary>How many operations of a kind there were.</summary>
    public int Count(DeviceOperation operation)
    {
        lock (counting) return counts[(int)operation];
    }

    /// <inheritdoc/>
    public Result<DeviceBuffer> Allocate(long bytes) =>
        Next(DeviceOperation.Allocate) is null ? inner.Allocate(bytes) : Injected(DeviceOperation.Allocate);

    /// <inheritdoc/>
    public void Free(DeviceBuffer buffer) => inner.Free(buffer);

    /// <inheritdoc/>
    public Result<DeviceToken> Copy(in DeviceCopy copy)
    {
        DeviceOperation operation = copy.ToDevice ? DeviceOperation.CopyIn : DeviceOperation.CopyOut;
        DeviceFault? fault = Next(operation);
        return fault == DeviceFault.Refused ? Injected(operation) : Mark(copy.Queue, fault, inner.Copy(copy));
    }

    /// <inheritdoc/>
    public Result<DeviceToken> Launch(in KernelLaunch launch)
    {
        DeviceFault? fault = Next(DeviceOperation.Launch);
        return fault == DeviceFault.Refused
            ? Injected(DeviceOperation.Launch)
            : Mark(DeviceQueue.Compute, fault, inner.Launch(launch));
    }

    /// <inheritdoc/>
    public DeviceWait Wait(DeviceToken token, TimeSpan timeout)
    {
        if (!marked.TryGetValue(token, out DeviceFault fault)) return inner.Wait(token, timeout);
        if (fault == DeviceFault.NeverEnds) return new DeviceWait(DeviceWaitStatus.TimedOut);
        DeviceWait ended = inner.Wait(token, timeout);
        if (ended.Status == DeviceWaitStatus.TimedOut) return ended;
        marked.TryRemove(token, out _);
        return new DeviceWait(DeviceWaitStatus.Failed, new KvError(ErrorCode.Internal, "injected", "failed while it ran"));
    }

    /// <inheritdoc/>
    public void Dispose() => inner.Dispose();

    private static KvError Injected(DeviceOperation operation) => new(ErrorCode.Internal, "injected", $"{operation} refused");

    private DeviceFault? Next(DeviceOperation operation)
    {
        lock (counting)
        {
            int number = ++counts[(int)operation];
            int plan = plans.FindIndex(entry => entry.Operation == operation && entry.Number == number);
            return plan < 0 ? null : plans[plan].Fault;
        }
    }

    /// <summary>A queue is in order: what goes wrong on it goes wrong for all that follows.</summary>
    private Result<DeviceToken> Mark(DeviceQueue queue, DeviceFault? fault, Result<DeviceToken> started)
    {
        DeviceFault? state;
        lock (counting) state = queues[(int)queue] ??= fault;
        if (state is { } bad && started.TryGet(out DeviceToken token, out _) && !token.IsNone) marked[token] = bad;
        return started;
    }
}
