namespace KvTier.Recall;

/// <summary>Work of many equal parts.</summary>
internal abstract class ParallelWork
{
    /// <summary>Does one part; parts may run at once on several threads.</summary>
    internal abstract void Run(int part);
}

/// <summary>Threads that score and attend. Whoever has work does it too; several may have work at once. Thread-safe.</summary>
internal sealed class WorkerPool : IDisposable
{
    private readonly object gate = new();
    private readonly LinkedList<Job> jobs = new();
    private readonly Stack<Job> spare = new();
    private readonly Thread[] threads;
    private bool closed;

    /// <summary>Starts the threads.</summary>
    /// <param name="workers">Threads that do one work at most, the caller's included.</param>
    internal WorkerPool(int workers)
    {
        threads = new Thread[workers - 1];
        for (int i = 0; i < threads.Length; i++)
        {
            threads[i] = new Thread(Loop) { IsBackground = true, Name = $"recall {i + 1}" };
            threads[i].Start();
        }
    }

    /// <summary>Does all parts of a work; returns when every one is done.</summary>
    internal void Run(ParallelWork work, int parts)
    {
        if (parts <= 1 || threads.Length == 0)
        {
            for (int part = 0; part < parts; part++) work.Run(part);
            return;
        }

        Job job;
        lock (gate)
        {
            job = spare.Count > 0 ? spare.Pop() : new Job();
            job.Begin(work, parts);
            jobs.AddLast(job.Node);
            Monitor.PulseAll(gate);
        }

        job.Process();
        bool wait;
        lock (gate)
        {
            jobs.Remove(job.Node);
            wait = job.IsAwaited = job.Helpers > 0;
        }

        if (wait) job.Done.Wait();
        Exception? failure = job.Failure;
        lock (gate) spare.Push(job);
        if (failure is not null) throw new InvalidOperationException("a part of the work failed", failure);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            closed = true;
            Monitor.PulseAll(gate);
        }

        foreach (Thread thread in threads) thread.Join();
    }

    private void Loop()
    {
        while (true)
        {
            Job? job;
            lock (gate)
            {
                while ((job = NextJob()) is null && !closed) Monitor.Wait(gate);
                if (job is null) return;
                job.Helpers++;
            }

            job.Process();
            lock (gate)
            {
                if (--job.Helpers == 0 && job.IsAwaited) job.Done.Set();
            }
        }
    }

    private Job? NextJob()
    {
        foreach (Job job in jobs)
        {
            if (job.HasParts) return job;
        }

        return null;
    }

    private sealed class Job
    {
        private ParallelWork? work;
        private int parts;
        private int next;

        internal Job() => Node = new LinkedListNode<Job>(this);

        internal LinkedListNode<Job> Node { get; }

        internal ManualResetEventSlim Done { get; } = new();

        internal int Helpers { get; set; }

        internal bool IsAwaited { get; set; }

        internal Exception? Failure { get; private set; }

        internal bool HasParts => Volatile.Read(ref next) < parts;

        internal void Begin(ParallelWork newWork, int newParts)
        {
            work = newWork;
            parts = newParts;
            next = 0;
            Helpers = 0;
            IsAwaited = false;
            Failure = null;
            Done.Reset();
        }

        internal void Process()
        {
            while (true)
            {
                int part = Interlocked.Increment(ref next) - 1;
                if (part >= parts) return;
                try
                {
                    work!.Run(part);
                }
#pragma warning disable CA1031 // Whatever a part throws is thrown again where the work was begun.
                catch (Exception e)
#pragma warning restore CA1031
                {
                    Failure ??= e;
                }
            }
        }
    }
}
