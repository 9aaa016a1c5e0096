using System.Globalization;
using System.Text;
using KvTier.Protocol;

namespace KvTier.Silo.Resp.Routing;

/// <summary>A command as it goes to another silo: small arguments are copied, values in slots of the arena are sent from there.</summary>
internal sealed class RespRequest : IDisposable
{
    private readonly FrameBuffer buffer = new(512);
    private readonly List<(int End, ReadOnlyMemory<byte> Slot)> slots = [];

    /// <summary>Begins with the mark of a command that is not to be passed on again.</summary>
    /// <param name="epoch">Epoch of this silo's map.</param>
    /// <param name="database">Database of the client.</param>
    /// <param name="arguments">Arguments that will be added, the command's name included.</param>
    public RespRequest(long epoch, int database, int arguments)
    {
        Head('*', 3);
        Add("KVTIER.FORWARDED"u8);
        AddNumber(epoch);
        AddNumber(database);
        Head('*', arguments);
    }

    /// <summary>Adds an argument.</summary>
    public void Add(ReadOnlySpan<byte> argument)
    {
        Head('$', argument.Length);
        Raw(argument);
        Raw("\r\n"u8);
    }

    /// <summary>Adds a number.</summary>
    public void AddNumber(long number)
    {
        Span<byte> text = stackalloc byte[24];
        number.TryFormat(text, out int length, default, CultureInfo.InvariantCulture);
        Add(text[..length]);
    }

    /// <summary>Adds an argument whose bytes stay where they are until the request is sent.</summary>
    public void AddSlot(ReadOnlyMemory<byte> argument)
    {
        Head('$', argument.Length);
        slots.Add((buffer.WrittenCount, argument));
        Raw("\r\n"u8);
    }

    /// <summary>Sends it.</summary>
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

    /// <inheritdoc/>
    public void Dispose() => buffer.Dispose();

    private void Head(char kind, long number) =>
        Raw(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{kind}{number}\r\n")));

    private void Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(buffer.GetSpan(bytes.Length));
        buffer.Advance(bytes.Length);
    }
}
