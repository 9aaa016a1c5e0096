using System.Buffers.Text;
using System.Runtime.CompilerServices;
using KvTier.Protocol;

namespace KvTier.Silo.Resp.Routing;

/// <summary>
/// A command as it goes to another silo: small arguments are copied, values in slots of the arena are sent from there. One for each
/// connection, used for one command after the other.
/// </summary>
internal sealed class RespRequest : IDisposable
{
    private const int FirstBytes = 512;

    /// <summary>A buffer that a long command has made larger than this is given back afterwards.</summary>
    private const int KeptBytesMax = 64 << 10;

    private readonly List<(int End, ReadOnlyMemory<byte> Slot)> slots = [];
    private FrameBuffer buffer = new(FirstBytes);

    /// <summary>Begins with the mark of a command that is not to be passed on again.</summary>
    /// <param name="epoch">Epoch of this silo's map.</param>
    /// <param name="database">Database of the client.</param>
    /// <param name="arguments">Arguments that will be added, the command's name included.</param>
    public void Begin(long epoch, int database, int arguments)
    {
        End();
        Head((byte)'*', 3);
        Add("KVTIER.FORWARDED"u8);
        AddNumber(epoch);
        AddNumber(database);
        Head((byte)'*', arguments);
    }

    /// <summary>Adds an argument.</summary>
    public void Add(ReadOnlySpan<byte> argument)
    {
        Head((byte)'$', argument.Length);
        Raw(argument);
        Raw("\r\n"u8);
    }

    /// <summary>Adds a number.</summary>
    public void AddNumber(long number)
    {
        Span<byte> text = stackalloc byte[24];
        Utf8Formatter.TryFormat(number, text, out int length);
        Add(text[..length]);
    }

    /// <summary>Adds an argument whose bytes stay where they are until the request is sent.</summary>
    public void AddSlot(ReadOnlyMemory<byte> argument)
    {
        Head((byte)'$', argument.Length);
        slots.Add((buffer.WrittenCount, argument));
        Raw("\r\n"u8);
    }

    /// <summary>Sends it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(RespLink link)
    {
        int sent = 0;
        foreach ((int end, ReadOnlyMemory<byte> slot) in slots)
        {
            await link.SendAsync(buffer.WrittenMemory[sent..end]);
            await link.SendAsync(slot);
            sent = end;
        }

        await link.SendAsync(buffer.WrittenMemory[sent..]);
    }

    /// <summary>Forgets the command.</summary>
    public void End()
    {
        slots.Clear();
        if (buffer.WrittenCount > KeptBytesMax)
        {
            buffer.Dispose();
            buffer = new FrameBuffer(FirstBytes);
        }

        buffer.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => buffer.Dispose();

    private void Head(byte kind, long number)
    {
        Span<byte> room = buffer.GetSpan(24);
        room[0] = kind;
        Utf8Formatter.TryFormat(number, room[1..], out int length);
        "\r\n"u8.CopyTo(room[(1 + length)..]);
        buffer.Advance(length + 3);
    }

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(buffer.GetSpan(bytes.Length));
        buffer.Advance(bytes.Length);
    }
}
