namespace KvTier.Kernels.Device.OpenCl;

/// <summary>An OpenCL device, with one in-order queue for kernels and one for copies.</summary>
internal sealed unsafe class OpenClDriver : IDeviceDriver
{
    private readonly OpenClApi api;
    private readonly HandleSet buffers = new();
    private readonly HandleSet events = new();

    /// <summary>Kernels keep their arguments between calls, so that setting them and enqueuing are one step.</summary>
    private readonly Lock launching = new();
    private nint context;
    private nint computeQueue;
    private nint copyQueue;
    private OpenClPrograms? programs;

    private OpenClDriver(OpenClApi api, DeviceInfo info)
    {
        this.api = api;
        Info = info;
    }

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    /// <inheritdoc/>
    public int LiveHandles =>
        buffers.Count + events.Count + (programs?.Count ?? 0) + (context == 0 ? 0 : 1) + (computeQueue == 0 ? 0 : 1)
        + (copyQueue == 0 ? 0 : 1);

    /// <summary>Opens a device.</summary>
    /// <param name="allowCpu">True to take a CPU when there is no GPU.</param>
    /// <returns>The driver, or why there is none.</returns>
    public static Result<IDeviceDriver> Open(bool allowCpu)
    {
        if (OpenClApi.TryGet(out string reason) is not { } api) return Missing(reason);
        nint device = OpenClDevices.Find(api, allowCpu, out reason);
        if (device == 0) return Missing(reason);
        var driver = new OpenClDriver(api, OpenClDevices.Describe(api, device));
        KvError? error = driver.Start(device);
        if (error is null) return driver;
        driver.Dispose();
        return error;
    }

    /// <inheritdoc/>
    public Result<DeviceBuffer> Allocate(long bytes)
    {
        int code;
        nint buffer = api.CreateBuffer(context, OpenClCodes.MemReadWrite, (nuint)bytes, null, &code);
        if (buffer == 0) return DeviceErrors.Call($"clCreateBuffer of {bytes} bytes", OpenClCodes.Name(code));
        buffers.Add(buffer);
        return new DeviceBuffer(buffer, bytes);
    }

    /// <inheritdoc/>
    public void Free(DeviceBuffer buffer)
    {
        if (buffers.Remove(buffer.Handle)) _ = api.ReleaseMemObject(buffer.Handle);
    }

    /// <inheritdoc/>
    public Result<DeviceToken> Copy(in DeviceCopy copy)
    {
        nint queue = copy.Queue == DeviceQueue.Copy ? copyQueue : computeQueue;
        nint done = 0;
        nint* wanted = copy.WantsToken ? &done : null;
        int code = copy.ToDevice
            ? api.EnqueueWriteBuffer(queue, copy.Buffer.Handle, OpenClCodes.False, (nuint)copy.Offset, (nuint)copy.Bytes,
                (void*)copy.Host, 0, null, wanted)
            : api.EnqueueReadBuffer(queue, copy.Buffer.Handle, OpenClCodes.False, (nuint)copy.Offset, (nuint)copy.Bytes,
                (void*)copy.Host, 0, null, wanted);
        if (code != OpenClCodes.Success)
            return DeviceErrors.Call(copy.ToDevice ? "clEnqueueWriteBuffer" : "clEnqueueReadBuffer", OpenClCodes.Name(code));
        return Started(queue, done);
    }

    /// <inheritdoc/>
    public Result<DeviceToken> Launch(in KernelLaunch launch)
    {
        lock (launching)
        {
            if (programs is null) return DeviceErrors.Call("launch", "driver closed");
            if (!programs.Get(launch.Kernel, launch.Dtype).TryGet(out nint kernel, out KvError? error)) return error;
            if (SetArguments(kernel, launch) is { } wrong) return wrong;
            nuint local = (nuint)launch.GroupSize;
            nuint global = local * (nuint)launch.Groups;
            nint done = 0;
            int code = api.EnqueueNDRangeKernel(
                computeQueue, kernel, 1, null, &global, &local, 0, null, launch.WantsToken ? &done : null);
            if (code != OpenClCodes.Success) return DeviceErrors.Call($"clEnqueueNDRangeKernel({launch.Kernel})", OpenClCodes.Name(code));
            return Started(computeQueue, done);
        }
    }

    /// <inheritdoc/>
    public DeviceWait Wait(DeviceToken token, TimeSpan timeout) =>
        TokenWait.Until(this, token, timeout, static (driver, asked) => driver.Ask(asked));

    /// <inheritdoc/>
    public void Dispose()
    {
        // Work in flight reads and writes memory of the host, which its owner frees after this.
        if (computeQueue != 0) _ = api.Finish(computeQueue);
        if (copyQueue != 0) _ = api.Finish(copyQueue);
        foreach (nint handle in events.Clear()) _ = api.ReleaseEvent(handle);
        lock (launching)
        {
            programs?.Dispose();
            programs = null;
        }

        if (computeQueue != 0) _ = api.ReleaseCommandQueue(computeQueue);
        if (copyQueue != 0) _ = api.ReleaseCommandQueue(copyQueue);
        foreach (nint handle in buffers.Clear()) _ = api.ReleaseMemObject(handle);
        if (context != 0) _ = api.ReleaseContext(context);
        context = computeQueue = copyQueue = 0;
    }

    private static KvError Missing(string reason) => new(ErrorCode.Unavailable, "opencl", reason, "an OpenCL device");

    private KvError? Start(nint device)
    {
        int code;
        context = api.CreateContext(null, 1, &device, 0, 0, &code);
        if (context == 0) return DeviceErrors.Call("clCreateContext", OpenClCodes.Name(code));
        computeQueue = api.CreateCommandQueue(context, device, 0, &code);
        if (computeQueue == 0) return DeviceErrors.Call("clCreateCommandQueue", OpenClCodes.Name(code));
        copyQueue = api.CreateCommandQueue(context, device, 0, &code);
        if (copyQueue == 0) return DeviceErrors.Call("clCreateCommandQueue", OpenClCodes.Name(code));
        programs = new OpenClPrograms(api, context, device, Info);
        return null;
    }

    private KvError? SetArguments(nint kernel, in KernelLaunch launch)
    {
        uint index = 0;
        int code = OpenClCodes.Success;
        foreach (KernelArgument argument in launch.Arguments)
        {
            long bits = argument.Bits;
            code = api.SetKernelArg(kernel, index++, (nuint)argument.SizeBytes, &bits);
            if (code != OpenClCodes.Success) break;
        }

        if (code == OpenClCodes.Success && launch.LocalBytes > 0)
            code = api.SetKernelArg(kernel, index++, (nuint)launch.LocalBytes, null);
        return code == OpenClCodes.Success
            ? null
            : DeviceErrors.Call($"clSetKernelArg({launch.Kernel}, {index - 1})", OpenClCodes.Name(code));
    }

    /// <summary>Makes the driver begin: OpenCL may keep what is enqueued until a flush.</summary>
    private Result<DeviceToken> Started(nint queue, nint done)
    {
        if (done == 0) return default(DeviceToken);
        events.Add(done);
        int code = api.Flush(queue);
        if (code == OpenClCodes.Success) return new DeviceToken(done);
        if (events.Remove(done)) _ = api.ReleaseEvent(done);
        return DeviceErrors.Call("clFlush", OpenClCodes.Name(code));
    }

    private DeviceWait Ask(DeviceToken token)
    {
        if (!events.Contains(token.Handle))
            return new DeviceWait(DeviceWaitStatus.Failed, DeviceErrors.Call("wait", "token ended or unknown"));
        int status = 0;
        int code = api.GetEventInfo(token.Handle, OpenClCodes.EventCommandExecutionStatus, sizeof(int), &status, null);
        if (code == OpenClCodes.Success && status > OpenClCodes.Complete) return new DeviceWait(DeviceWaitStatus.TimedOut);
        if (events.Remove(token.Handle)) _ = api.ReleaseEvent(token.Handle);
        if (code != OpenClCodes.Success)
            return new DeviceWait(DeviceWaitStatus.Failed, DeviceErrors.Call("clGetEventInfo", OpenClCodes.Name(code)));
        return status == OpenClCodes.Complete
            ? new DeviceWait(DeviceWaitStatus.Done)
            : new DeviceWait(DeviceWaitStatus.Failed, DeviceErrors.Call("device command", OpenClCodes.Name(status)));
    }
}
