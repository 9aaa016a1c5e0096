using System.Buffers;

namespace KvTier.Cluster;

/// <summary>Reads messages of etcd into memory, up to a limit.</summary>
/// <param name="stream">Where they come from; not owned.</param>
internal sealed class EtcdBody(Stream stream)
{
    /// <summary>Longest message, in bytes.</summary>
    public const int BytesMax = 32 << 20;

    private byte[] buffer = new byte[16 << 10];
    private int begin;
    private int end;

    /// <summary>Reads all that is left.</summary>
    public async ValueTask<Result<ReadOnlyMemory<byte>>> ReadAllAsync(CancellationToken cancel)
    {
        do
        {
            if (end - begin > BytesMax) return TooLong();
        }
        while (await FillAsync(cancel));
        return (ReadOnlyMemory<byte>)buffer.AsMemory(begin, end - begin);
    }

    /// <summary>Reads one line; its bytes stay until the next call.</summary>
    /// <returns>The line without its end; empty at the end of the stream.</returns>
    public async ValueTask<Result<ReadOnlyMemory<byte>>> ReadLineAsync(CancellationToken cancel)
    {
        int searched = 0;
        while (true)
        {
            int at = buffer.AsSpan(begin + searched, end - begin - searched).IndexOf((byte)'\n');
            if (at >= 0)
            {
                ReadOnlyMemory<byte> line = buffer.AsMemory(begin, searched + at);
                begin += searched + at + 1;
                return line;
            }

            searched = end - begin;
            if (searched > BytesMax) return TooLong();
            if (!await FillAsync(cancel)) return ReadOnlyMemory<byte>.Empty;
        }
    }

    private static KvError TooLong() => KvError.LimitExceeded("etcd", "a message that goes on", $"{BytesMax} B");

    private async ValueTask<bool> FillAsync(CancellationToken cancel)
    {
        if (begin == end) begin = end = 0;
        if (end == buffer.Length)
        {
            byte[] target = end - begin > buffer.Length / 2 ? new byte[buffer.Length * 2] : buffer;
            buffer.AsSpan(begin, end - begin).CopyTo(target);
            (buffer, end, begin) = (target, end - begin, 0);
        }

        int read = await stream.ReadAsync(buffer.AsMemory(end), cancel);
        end += read;
        return read > 0;
    }
}
