using System.Buffers;
using System.Buffers.Text;

namespace KvTier.Silo.Resp;

/// <summary>Bulk strings gathered until their number is known, as an array head has to name it first.</summary>
internal sealed class RespList : IDisposable
{
    private byte[] buffer = ArrayPool<byte>.Shared.Rent(4096);

    public int Count { get; private set; }

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Bytes => buffer.AsSpan(0, Length);

    public void Add(ReadOnlySpan<byte> text)
    {
        if (buffer.Length - Length < text.Length + 24) Grow(text.Length + 24);
        Span<byte> room = buffer.AsSpan(Length);
        room[0] = (byte)'$';
        Utf8Formatter.TryFormat(text.Length, room[1..], out int digits);
        int at = 1 + digits;
        "\r\n"u8.CopyTo(room[at..]);
        text.CopyTo(room[(at + 2)..]);
        "\r\n"u8.CopyTo(room[(at + 2 + text.Length)..]);
        Length += at + 4 + text.Length;
        Count++;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
    }

    private void Grow(int bytes)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * buffer.Length, Length + bytes));
        buffer.AsSpan(0, Length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }
}
