using System.Buffers.Binary;
using System.Text;
using KvTier.Engine;
using KvTier.Protocol;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Events;

/// <summary>
/// Tells routers which blocks are in which tier: watches the engine, joins what it sees with what engines said of the blocks, and publishes
/// it. One worker does so, beside all requests; it looks at the tiers that a block is in when its turn comes, so that moves which came
/// faster are told as one.
/// </summary>
internal sealed class KvEvents : IAsyncDisposable
{
    private const int ChangesMax = 1 << 18;
    private const int StepBlocks = 1024;
    private const int BatchBlocks = 256;

    private static readonly TimeSpan gather = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan retry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lastWords = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lastLook = TimeSpan.FromMilliseconds(10);

    private readonly SiloOptions options;
    private readonly BlockEngine engine;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly NoteTable notes;
    private readonly BlockChanges changes;
    private readonly EventOutlet[] outlets;
    private readonly Dictionary<ushort, Topic> topics = [];
    private readonly CancellationTokenSource stop = new();
    private Task working = Task.CompletedTask;
    private int complained;

    /// <summary>Makes it; nothing is bound and nothing watched yet.</summary>
    public KvEvents(SiloOptions options, BlockEngine engine, TimeProvider time, ILogger logger)
    {
        this.options = options;
        this.engine = engine;
        this.time = time;
        this.logger = logger;
        EventSettings how = options.Events;
        notes = new NoteTable(how.NoteBytes);
        changes = new BlockChanges(ChangesMax, notes.Knows);
        var limits = new ZmtpLimits(
            how.SubscribersMax, TimeSpan.FromMilliseconds(options.HelloTimeoutMs), TimeSpan.FromMilliseconds(options.StallTimeoutMs));
        var made = new List<EventOutlet>
        {
            new(how, how.Form, "endpoint", how.Endpoint!, how.ReplayEndpoint, limits, Counters, logger),
        };
        if (how.ArrayEndpoint is { } second)
        {
            made.Add(new EventOutlet(
                how, KvEventForm.Array, "arrayEndpoint", second, how.ArrayReplayEndpoint, limits, Counters, logger));
        }

        outlets = [.. made];
    }

    /// <summary>What is counted.</summary>
    public EventCounters Counters { get; } = new();

    /// <summary>What engines said of blocks.</summary>
    public NoteTable Notes => notes;

    /// <summary>The places where events are published.</summary>
    public IReadOnlyList<EventOutlet> Outlets => outlets;

    /// <summary>Binds every endpoint.</summary>
    /// <returns>Null, or why one can't be bound.</returns>
    public KvError? Bind()
    {
        foreach (EventOutlet outlet in outlets)
        {
            if (outlet.Bind() is { } error) return error;
        }

        return null;
    }

    /// <summary>Begins to watch, to publish and to accept.</summary>
    public void Start()
    {
        engine.Watch = changes;
        foreach (EventOutlet outlet in outlets) outlet.Accept();
        working = Task.Run(WorkAsync);
    }

    /// <summary>Keeps what an engine says of blocks.</summary>
    public EventNotesResponse Take(EventNotesRequest request)
    {
        changes.Want(request.Namespace);
        int dropped = 0;
        foreach (EventNote note in request.Notes)
        {
            if (!notes.Add(request.Namespace, note, request.BlockTokens, request.LoraName))
            {
                dropped++;
                continue;
            }

            // One that is not here yet has its turn when it comes: blocks are told in the order of their puts, parents first.
            if (engine.Describe(request.Namespace, note.Id).Tiers != TierSet.None) changes.Add(request.Namespace, note.Id);
        }

        if (dropped > 0 && Interlocked.Exchange(ref complained, 1) == 0) logger.NotesDropped();
        return new EventNotesResponse(request.Notes.Count - dropped, dropped, Publishing: true);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        engine.Watch = null;
        await stop.CancelAsync();
        await working;
        foreach (Topic topic in topics.Values.Distinct())
        {
            var batch = new EventBatch();
            batch.Clear();
            Publish(topic, batch);
        }

        // Until all is on its way, and no longer for one that reads nothing.
        for (TimeSpan waited = default; waited < lastWords && !outlets.All(outlet => outlet.IsSent); waited += lastLook)
            await Task.Delay(lastLook);
        foreach (EventOutlet outlet in outlets) await outlet.DisposeAsync();
        stop.Dispose();
    }

    private async Task WorkAsync()
    {
        var step = new List<(ushort Namespace, BlockId Id)>(StepBlocks);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                changes.Take(step, StepBlocks, out bool mustLookAtAll);
                if (mustLookAtAll) step.AddRange(notes.Keys());
                if (step.Count == 0)
                {
                    await changes.WaitAsync(stop.Token);
                    await Task.Delay(gather, stop.Token);
                    continue;
                }

                Tell(step);
                step.Clear();
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e)
            {
                // Nobody would publish any more if this loop ended. What was taken is looked at again.
                logger.PublishFailed(e);
                foreach ((ushort ns, BlockId id) in step) changes.Add(ns, id);
                step.Clear();
                await Task.Delay(retry, time, CancellationToken.None);
            }
        }
    }

    private void Tell(List<(ushort Namespace, BlockId Id)> blocks)
    {
        var batches = new Dictionary<ushort, EventBatch>();
        foreach ((ushort ns, BlockId id) in blocks)
        {
            if (!notes.TryFind(ns, id, out KnownBlock? block)) continue;
            TierSet told = block.Told, now = engine.Describe(ns, id).Tiers;
            if (now == told || !notes.Tell(block, now)) continue;
            Topic topic = TopicOf(ns);
            if (!batches.TryGetValue(ns, out EventBatch? batch))
            {
                batches[ns] = batch = new EventBatch();
                if (topic.Next == 0) batch.Clear();
            }

            batch.Add(block, told, now);
            if (batch.Blocks < BatchBlocks) continue;
            Publish(topic, batch);
            batches.Remove(ns);
        }

        foreach ((ushort ns, EventBatch batch) in batches) Publish(TopicOf(ns), batch);
    }

    private void Publish(Topic topic, EventBatch batch)
    {
        var sequence = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(sequence, topic.Next);
        double seconds = time.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0;
        foreach (EventOutlet outlet in outlets) outlet.Publish(topic.Bytes, sequence, topic.Next, seconds, batch.Events);
        topic.Next++;
        Counters.Published(batch.Stored, batch.Removed, batch.Cleared);
    }

    private Topic TopicOf(ushort ns)
    {
        if (topics.TryGetValue(ns, out Topic? topic)) return topic;
        NamespaceDescriptor descriptor = engine.Namespaces[ns];
        string text = options.Events.Topic
            .Replace("{silo}", options.Name, StringComparison.Ordinal)
            .Replace("{tenant}", descriptor.Tenant, StringComparison.Ordinal)
            .Replace("{model}", descriptor.Profile.Name, StringComparison.Ordinal);

        // Two namespaces may have one topic; then they share its numbers.
        topic = topics.Values.FirstOrDefault(each => each.Text == text) ?? new Topic(text);
        return topics[ns] = topic;
    }

    /// <summary>A topic and the number of its next batch.</summary>
    private sealed class Topic(string text)
    {
        public string Text { get; } = text;

        public byte[] Bytes { get; } = Encoding.UTF8.GetBytes(text);

        public long Next { get; set; }
    }
}
