namespace KvTier.Protocol.Tests;

/// <summary>
/// A connection's receiving side: appends what comes, reads commands, drops what was read, and may take bulk arguments out.
/// </summary>
internal sealed class RespFeed
{
    private readonly RespReader reader;
    private readonly bool takeBulks;
    private byte[] buffer = [];
    private byte[] bulk = [];
    private int bulkLeft;

    public RespFeed(bool takeBulks = false, int streamBytesMin = 16, bool authRequired = false)
    {
        this.takeBulks = takeBulks;
        reader = new RespReader { StreamBytesMin = streamBytesMin, AuthRequired = authRequired };
    }

    /// <summary>The commands read so far; each argument as Latin-1 text.</summary>
    public List<string[]> Commands { get; } = [];

    /// <summary>Arguments that were taken out.</summary>
    public int Taken { get; private set; }

    /// <summary>The error reply; null while there is none.</summary>
    public string? ErrorReply { get; private set; }

    private readonly Queue<string> taken = new();

    public void Append(ReadOnlySpan<byte> chunk)
    {
        if (ErrorReply is not null) return;
        if (bulkLeft > 0)
        {
            int count = Math.Min(bulkLeft, chunk.Length);
            bulk = [.. bulk, .. chunk[..count]];
            bulkLeft -= count;
            chunk = chunk[count..];
            if (bulkLeft > 0) return;
            EndTaking();
        }

        buffer = [.. buffer, .. chunk];
        while (ErrorReply is null && bulkLeft == 0 && Step())
        {
        }
    }

    private bool Step()
    {
        switch (reader.Read(buffer))
        {
            case RespStatus.Ok:
                Assert.InRange(reader.Consumed, 0, buffer.Length);
                Commands.Add([.. reader.Arguments.ToArray().Select(a => a.IsTaken ? taken.Dequeue() : Latin1(a.In(buffer)))]);
                buffer = buffer[reader.Consumed..];
                return buffer.Length > 0;
            case RespStatus.BulkPending when takeBulks:
                bulk = buffer[reader.PendingOffset..];
                bulkLeft = reader.PendingLength + 2 - bulk.Length;
                buffer = buffer[..reader.PendingOffset];
                Assert.True(bulkLeft > 0);
                return false;
            case RespStatus.ProtocolError:
                using (var reply = new FrameBuffer())
                {
                    new RespWriter(reply).WriteProtocolError(reader);
                    ErrorReply = Latin1(reply.WrittenSpan);
                }

                return false;
            default:
                return false;
        }
    }

    private void EndTaking()
    {
        taken.Enqueue(Latin1(bulk.AsSpan(0, bulk.Length - 2)));
        bulk = [];
        Taken++;
        reader.TakeBulk();
    }

    public static string Latin1(ReadOnlySpan<byte> bytes) => System.Text.Encoding.Latin1.GetString(bytes);

    public static byte[] Latin1(string text) => System.Text.Encoding.Latin1.GetBytes(text);

    /// <summary>A command as a multibulk.</summary>
    public static byte[] Encode(params string[] arguments) =>
        Latin1($"*{arguments.Length}\r\n" + string.Concat(arguments.Select(argument => $"${argument.Length}\r\n{argument}\r\n")));
}
