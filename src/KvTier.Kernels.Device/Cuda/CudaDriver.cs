namespace KvTier.Kernels.Device.Cuda;

/// <summary>A CUDA device: its primary context, with one stream for kernels and one for copies.</summary>
internal sealed unsafe class CudaDriver : IDeviceDriver
{
    private readonly CudaApi api;
    private readonly int device;
    private readonly HandleSet buffers = new();
    private readonly HandleSet events = new();
    private readonly Lock launching = new();
    private nint context;
    private nint computeStream;
    private nint copyStream;
    private CudaPrograms? programs;

    private CudaDriver(CudaApi api, int number)
    {
        this.api = api;
        device = number;
        Info = CudaDevices.Describe(api, number);
    }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <inheritdoc/>
    public int LiveHandles =>
        buffers.Count + events.Count + (programs?.Count ?? 0) + (context == 0 ? 0 : 1) + (computeStream == 0 ? 0 : 1)
        + (copyStream == 0 ? 0 : 1);

    /// <summary>Opens the first device.</summary>
    /// <returns>The driver, or why there is none.</returns>
    public static Result<IDeviceDriver> Open()
    {
        if (CudaApi.TryGet(out string reason) is not { } api) return Missing(reason);
        int number = CudaDevices.Find(api, out reason);
        if (number < 0) return Missing(reason);
        if (NvrtcApi.TryGet(out reason) is not { } compiler) return Missing(reason);
        var driver = new CudaDriver(api, number);
        KvError? error = driver.Start(compiler);
        if (error is null) return driver;
        driver.Dispose();
        return error;
    }

    /// <inheritdoc/>
    public Result<DeviceBuffer> Allocate(long bytes)
    {
        ulong address = 0;
        int code = Enter();
        if (code == CudaCodes.Success) code = api.MemAlloc(&address, (nuint)bytes);
        if (code != CudaCodes.Success) return Failed($"cuMemAlloc of {bytes} bytes", code);
        buffers.Add((nint)address);
        return new DeviceBuffer((nint)address, bytes);
    }

    /// <inheritdoc/>
    public void Free(DeviceBuffer buffer)
    {
        if (!buffers.Remove(buffer.Handle)) return;
        _ = Enter();
        _ = api.MemFree((ulong)buffer.Handle);
    }

    /// <inheritdoc/>
    public Result<DeviceToken> Copy(in DeviceCopy copy)
    {
        nint stream = copy.Queue == DeviceQueue.Copy ? copyStream : computeStream;
        ulong at = (ulong)copy.Buffer.Handle + (ulong)copy.Offset;
        int code = Enter();
        if (code == CudaCodes.Success)
        {
            code = copy.ToDevice
                ? api.MemcpyHtoDAsync(at, (void*)copy.Host, (nuint)copy.Bytes, stream)
                : api.MemcpyDtoHAsync((void*)copy.Host, at, (nuint)copy.Bytes, stream);
        }

        return code == CudaCodes.Success
            ? Started(stream, copy.WantsToken)
            : Failed(copy.ToDevice ? "cuMemcpyHtoDAsync" : "cuMemcpyDtoHAsync", code);
    }

    /// <inheritdoc/>
    public Result<DeviceToken> Launch(in KernelLaunch launch)
    {
        lock (launching)
        {
            if (programs is null) return DeviceErrors.Call("launch", "driver closed");
            int code = Enter();
            if (code != CudaCodes.Success) return Failed("cuCtxSetCurrent", code);
            if (!programs.Get(launch.Kernel, launch.Dtype).TryGet(out nint function, out KvError? error)) return error;
            long* bits = stackalloc long[KernelLaunch.ArgumentsMax];
            void** arguments = stackalloc void*[KernelLaunch.ArgumentsMax];
            for (int i = 0; i < launch.Arguments.Length; i++)
            {
                bits[i] = launch.Arguments[i].Bits;
                arguments[i] = bits + i;
            }

            code = api.LaunchKernel(
                function, (uint)launch.Groups, 1, 1, (uint)launch.GroupSize, 1, 1, (uint)launch.LocalBytes, computeStream, arguments, null);
            return code == CudaCodes.Success
                ? Started(computeStream, launch.WantsToken)
                : Failed($"cuLaunchKernel({launch.Kernel})", code);
        }
    }

    /// <inheritdoc/>
    public DeviceWait Wait(DeviceToken token, TimeSpan timeout) =>
        TokenWait.Until(this, token, timeout, static (driver, asked) => driver.Ask(asked));

    /// <inheritdoc/>
    public void Dispose()
    {
        if (context == 0) return;
        _ = Enter();
        // Work in flight reads and writes memory of the host, which its owner frees after this.
        if (computeStream != 0) _ = api.StreamSynchronize(computeStream);
        if (copyStream != 0) _ = api.StreamSynchronize(copyStream);
        foreach (nint handle in events.Clear()) _ = api.EventDestroy(handle);
        lock (launching)
        {
            programs?.Dispose();
            programs = null;
        }

        foreach (nint handle in buffers.Clear()) _ = api.MemFree((ulong)handle);
        if (computeStream != 0) _ = api.StreamDestroy(computeStream);
        if (copyStream != 0) _ = api.StreamDestroy(copyStream);
        _ = api.CtxSetCurrent(0);
        _ = api.DevicePrimaryCtxRelease(device);
        context = computeStream = copyStream = 0;
    }

    private static KvError Missing(string reason) => new(ErrorCode.Unavailable, "cuda", reason, "a CUDA device with libnvrtc");

    private KvError? Start(NvrtcApi compiler)
    {
        nint made;
        int code = api.DevicePrimaryCtxRetain(&made, device);
        if (code != CudaCodes.Success) return Failed("cuDevicePrimaryCtxRetain", code);
        context = made;
        code = Enter();
        if (code == CudaCodes.Success) code = api.StreamCreate(&made, CudaCodes.StreamNonBlocking);
        if (code != CudaCodes.Success) return Failed("cuStreamCreate", code);
        computeStream = made;
        code = api.StreamCreate(&made, CudaCodes.StreamNonBlocking);
        if (code != CudaCodes.Success) return Failed("cuStreamCreate", code);
        copyStream = made;
        programs = new CudaPrograms(api, compiler, CudaDevices.Architecture(api, device));
        return null;
    }

    /// <summary>Makes the context the calling thread's: CUDA keeps it per thread, and any thread may call.</summary>
    private int Enter() => api.CtxSetCurrent(context);

    private KvError Failed(string call, int code) => DeviceErrors.Call(call, CudaCodes.Name(api, code));

    private Result<DeviceToken> Started(nint stream, bool wantsToken)
    {
        if (!wantsToken) return default(DeviceToken);
        nint done;
        int code = api.EventCreate(&done, CudaCodes.EventDisableTiming);
        if (code != CudaCodes.Success) return Failed("cuEventCreate", code);
        events.Add(done);
        code = api.EventRecord(done, stream);
        if (code == CudaCodes.Success) return new DeviceToken(done);
        if (events.Remove(done)) _ = api.EventDestroy(done);
        return Failed("cuEventRecord", code);
    }

    private DeviceWait Ask(DeviceToken token)
    {
        if (!events.Contains(token.Handle))
            return new DeviceWait(DeviceWaitStatus.Failed, DeviceErrors.Call("wait", "token ended or unknown"));
        int code = Enter();
        if (code == CudaCodes.Success) code = api.EventQuery(token.Handle);
        if (code == CudaCodes.NotReady) return new DeviceWait(DeviceWaitStatus.TimedOut);
        if (events.Remove(token.Handle)) _ = api.EventDestroy(token.Handle);
        // A failed kernel shows in whatever is asked next; the context is of no more use then.
        return code == CudaCodes.Success
            ? new DeviceWait(DeviceWaitStatus.Done)
            : new DeviceWait(DeviceWaitStatus.Failed, Failed("device command", code));
    }
}
