using System.Buffers;
using KvTier.Protocol;

namespace KvTier.Silo.Resp;

/// <summary>What <see cref="RespInput.Parse"/> found.</summary>
internal enum RespParse
{
    /// <summary>More bytes are needed.</summary>
    Incomplete,

    /// <summary>A command with at least one argument.</summary>
    Command,

    /// <summary>The head of a long bulk string, whose bytes the connection takes itself.</summary>
    LongBulk,

    /// <summary>A protocol error. The connection ends.</summary>
    Malformed,
}

/// <summary>The receive buffer of a connection, and the arguments of the command in it, those taken to other places included.</summary>
internal sealed class RespInput : IDisposable
{
    private readonly RespLimits limits;
    private readonly List<(RespPlace Place, int Slot)> taken = [];
    private byte[] buffer;

    /// <summary>Start of the command; everything before has been used.</summary>
    private int begin;

    /// <summary>End of the bytes received.</summary>
    private int end;

    /// <summary>Bytes to pass over: the line end of a bulk that was taken, which Redis does not look at either.</summary>
    private int skip;

    public RespInput(RespLimits limits)
    {
        this.limits = limits;
        buffer = ArrayPool<byte>.Shared.Rent(RespLimits.ReceiveBytes);
        Reader = new RespReader { StreamBytesMin = RespLimits.DirectBytesMin + 1 };
    }

    /// <summary>The parser.</summary>
    public RespReader Reader { get; }

    /// <summary>Arguments of the command so far, its name included.</summary>
    public int Count => Reader.Arguments.Length;

    /// <summary>The command that the first argument names; null when there is none of that name.</summary>
    public RespCommand? Command { get; private set; }

    /// <summary>Bytes of the bulk string that <see cref="RespParse.LongBulk"/> announced.</summary>
    public int LongBulkBytes => Reader.PendingLength;

    /// <summary>Bytes received and not used yet.</summary>
    public int Buffered => end - begin;

    /// <summary>True when a command has begun and is not complete.</summary>
    public bool InCommand => end > begin || skip > 0;

    /// <summary>True when the command has arguments that are not in the buffer.</summary>
    public bool HasTaken => taken.Count > 0;

    /// <summary>Bytes of an argument.</summary>
    public int Length(int index) => Reader.Arguments[index].Length;

    /// <summary>Where an argument is.</summary>
    /// <param name="index">The argument.</param>
    /// <param name="slot">For <see cref="RespPlace.Slot"/>, its position among the received values.</param>
    public RespPlace Place(int index, out int slot)
    {
        slot = -1;
        if (!Reader.Arguments[index].IsTaken) return RespPlace.Buffer;
        int before = 0;
        ReadOnlySpan<RespArgument> arguments = Reader.Arguments[..index];
        foreach (RespArgument argument in arguments) before += argument.IsTaken ? 1 : 0;
        (RespPlace place, slot) = taken[before];
        return place;
    }

    /// <summary>Bytes of an argument that is in the buffer; empty for one that is not.</summary>
    public ReadOnlySpan<byte> Bytes(int index)
    {
        RespArgument argument = Reader.Arguments[index];
        return argument.IsTaken ? default : buffer.AsSpan(begin + argument.Offset, argument.Length);
    }

    /// <summary>Parses on.</summary>
    public RespParse Parse()
    {
        while (true)
        {
            if (skip > 0) return RespParse.Incomplete;
            RespStatus status = Reader.Read(buffer.AsSpan(begin, end - begin));
            switch (status)
            {
                case RespStatus.Incomplete: return RespParse.Incomplete;
                case RespStatus.ProtocolError: return RespParse.Malformed;
                case RespStatus.BulkPending:
                    Command = Count > 0 ? RespCommandTable.Find(Bytes(0)) : null;
                    return IsTakenOutside() ? RespParse.LongBulk : RespParse.Incomplete;
                default:
                    if (Count > 0)
                    {
                        Command = RespCommandTable.Find(Bytes(0));
                        return RespParse.Command;
                    }

                    EndCommand();
                    break;
            }
        }
    }

    /// <summary>Forgets the command just handled.</summary>
    public void EndCommand()
    {
        begin += Reader.Consumed;
        taken.Clear();
        if (begin != end) return;
        begin = end = 0;
        if (buffer.Length > 2 * RespLimits.ReceiveBytes) Replace(RespLimits.ReceiveBytes);
    }

    /// <summary>Room to receive into, at least 4 KiB.</summary>
    /// <returns>False when the command would pass <see cref="RespLimits.QueryBytesMax"/>.</returns>
    public bool TryGetRoom(out Memory<byte> room)
    {
        if (buffer.Length - end < 4096 && begin > 0)
        {
            buffer.AsSpan(begin, end - begin).CopyTo(buffer);
            end -= begin;
            begin = 0;
        }

        if (buffer.Length - end < 4096)
        {
            if (end >= limits.QueryBytesMax)
            {
                room = default;
                return false;
            }

            Replace((int)Math.Min(2L * buffer.Length, (long)limits.QueryBytesMax + 4096));
        }

        room = buffer.AsMemory(end);
        return true;
    }

    /// <summary>Says how many bytes were received into the room.</summary>
    public void Received(int count)
    {
        if (skip > 0)
        {
            int skipped = Math.Min(skip, count);
            skip -= skipped;
            count -= skipped;
            buffer.AsSpan(end + skipped, count).CopyTo(buffer.AsSpan(end));
            if (skip == 0) Reader.TakeBulk();
        }

        end += count;
    }

    /// <summary>After <see cref="RespParse.LongBulk"/>: takes the part of it that is in the buffer. Nothing follows the part,
    /// because a long bulk is announced only when its end has not been received.</summary>
    public ReadOnlyMemory<byte> TakeBuffered()
    {
        int start = begin + Reader.PendingOffset;
        var part = new ReadOnlyMemory<byte>(buffer, start, end - start);
        end = start;
        return part;
    }

    /// <summary>After all bytes of a long bulk were taken: makes it an argument, complete when its line end has come.</summary>
    public void AddLongBulk(RespPlace place, int slot)
    {
        taken.Add((place, slot));
        skip = 2;
    }

    /// <summary>True when an argument is a value to be stored.</summary>
    public bool IsValue(int index) => Command is { ValueIndex: > 0 } command
        && (command.ValueIndex == index || (command.ValuesRepeat && index > 0 && index % 2 == 0));

    /// <summary>Gives the buffer back.</summary>
    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }

    /// <summary>Values go straight to the arena; what is too long for the buffer is dropped while it arrives.</summary>
    private bool IsTakenOutside() =>
        end - begin - Reader.PendingOffset < Reader.PendingLength && (Reader.PendingLength > limits.ArgumentBytesMax || IsValue(Count));

    private void Replace(int size)
    {
        byte[] other = ArrayPool<byte>.Shared.Rent(size);
        buffer.AsSpan(begin, end - begin).CopyTo(other);
        end -= begin;
        begin = 0;
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = other;
    }
}
