namespace KvTier.Silo.Events;

/// <summary>What waits to be sent to one subscriber, within limits. Thread-safe.</summary>
/// <param name="messagesMax">Most messages.</param>
/// <param name="bytesMax">Most bytes of them.</param>
internal sealed class SendQueue(int messagesMax, long bytesMax)
{
    /// <summary>Most answers to heartbeats that wait.</summary>
    private const int AnswersMax = 16;

    private readonly Lock gate = new();
    private readonly Queue<byte[]> messages = new();
    private readonly Queue<byte[]> answers = new();
    private readonly SemaphoreSlim filled = new(0);
    private long bytes;
    private bool sending;

    /// <summary>Messages waiting.</summary>
    public int Count
    {
        get
        {
            lock (gate) return messages.Count;
        }
    }

    /// <summary>True when nothing waits, and what was taken last is sent.</summary>
    public bool IsSent
    {
        get
        {
            lock (gate) return messages.Count == 0 && answers.Count == 0 && !sending;
        }
    }

    /// <summary>Adds a message.</summary>
    /// <returns>False when there is no room for it.</returns>
    public bool TryAdd(byte[] message)
    {
        lock (gate)
        {
            if (messages.Count >= messagesMax || (messages.Count > 0 && bytes + message.Length > bytesMax)) return false;
            messages.Enqueue(message);
            bytes += message.Length;
        }

        filled.Release();
        return true;
    }

    /// <summary>Adds the answer to a heartbeat, which goes before messages.</summary>
    /// <returns>False when so many wait that the peer can't be in order.</returns>
    public bool TryAnswer(byte[] answer)
    {
        lock (gate)
        {
            if (answers.Count >= AnswersMax) return false;
            answers.Enqueue(answer);
        }

        filled.Release();
        return true;
    }

    /// <summary>Waits for the next to send; whoever sends it then says <see cref="Sent"/>.</summary>
    public async ValueTask<byte[]> TakeAsync(CancellationToken stop)
    {
        await filled.WaitAsync(stop);
        lock (gate)
        {
            sending = true;
            if (answers.TryDequeue(out byte[]? answer)) return answer;
            byte[] message = messages.Dequeue();
            bytes -= message.Length;
            return message;
        }
    }

    /// <summary>What was taken last is sent.</summary>
    public void Sent()
    {
        lock (gate) sending = false;
    }
}
