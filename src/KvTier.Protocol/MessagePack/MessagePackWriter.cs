using System.Buffers.Binary;
using System.Text;

namespace KvTier.Protocol;

/// <summary>
/// Writes MessagePack to the end of a <see cref="FrameBuffer"/>, each value in its shortest format, with MessagePack-CSharp's method names.
/// </summary>
public readonly ref struct MessagePackWriter
{
    private readonly FrameBuffer buffer;

    /// <summary>Writes to the end of a buffer.</summary>
    public MessagePackWriter(FrameBuffer buffer) => this.buffer = buffer;

    /// <summary>Writes nil.</summary>
    public void WriteNil() => WriteCode(0xC0);

    /// <summary>Writes true or false.</summary>
    public void Write(bool value) => WriteCode(value ? (byte)0xC3 : (byte)0xC2);

    /// <summary>Writes an integer.</summary>
    public void Write(ulong value)
    {
        switch (value)
        {
            case <= 0x7F:
                WriteCode((byte)value);
                break;
            case <= byte.MaxValue:
                Head(0xCC, 1, value);
                break;
            case <= ushort.MaxValue:
                Head(0xCD, 2, value);
                break;
            case <= uint.MaxValue:
                Head(0xCE, 4, value);
                break;
            default:
                Head(0xCF, 8, value);
                break;
        }
    }

    /// <summary>Writes an integer.</summary>
    public void Write(uint value) => Write((ulong)value);

    /// <summary>Writes an integer.</summary>
    public void Write(int value) => Write((long)value);

    /// <summary>Writes an integer.</summary>
    public void Write(long value)
    {
        switch (value)
        {
            case >= 0:
                Write((ulong)value);
                break;
            case >= -32:
                WriteCode(unchecked((byte)value));
                break;
            case >= sbyte.MinValue:
                Head(0xD0, 1, unchecked((ulong)value));
                break;
            case >= short.MinValue:
                Head(0xD1, 2, unchecked((ulong)value));
                break;
            case >= int.MinValue:
                Head(0xD2, 4, unchecked((ulong)value));
                break;
            default:
                Head(0xD3, 8, unchecked((ulong)value));
                break;
        }
    }

    /// <summary>Writes a 32-bit float.</summary>
    public void Write(float value) => Head(0xCA, 4, BitConverter.SingleToUInt32Bits(value));

    /// <summary>Writes a 64-bit float.</summary>
    public void Write(double value) => Head(0xCB, 8, BitConverter.DoubleToUInt64Bits(value));

    /// <summary>Writes text; nil for null.</summary>
    public void Write(string? value)
    {
        if (value is null)
        {
            WriteNil();
            return;
        }

        int length = Encoding.UTF8.GetByteCount(value);
        WriteStringHeader(length);
        Encoding.UTF8.GetBytes(value, buffer.GetSpan(length));
        buffer.Advance(length);
    }

    /// <summary>Writes text that is UTF-8 already.</summary>
    public void WriteString(ReadOnlySpan<byte> utf8)
    {
        WriteStringHeader(utf8.Length);
        WriteRaw(utf8);
    }

    /// <summary>Writes bytes.</summary>
    public void Write(ReadOnlySpan<byte> value)
    {
        WriteBinHeader(value.Length);
        WriteRaw(value);
    }

    /// <summary>Writes the head of a byte string; that many bytes must follow by <see cref="WriteRaw"/>.</summary>
    public void WriteBinHeader(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if (length <= byte.MaxValue) Head(0xC4, 1, (ulong)length);
        else if (length <= ushort.MaxValue) Head(0xC5, 2, (ulong)length);
        else Head(0xC6, 4, (ulong)length);
    }

    /// <summary>Writes the head of an array; that many values must follow.</summary>
    public void WriteArrayHeader(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count <= 15) WriteCode((byte)(0x90 | count));
        else if (count <= ushort.MaxValue) Head(0xDC, 2, (ulong)count);
        else Head(0xDD, 4, (ulong)count);
    }

    /// <summary>Writes the head of a map; that many pairs of key and value must follow.</summary>
    public void WriteMapHeader(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count <= 15) WriteCode((byte)(0x80 | count));
        else if (count <= ushort.MaxValue) Head(0xDE, 2, (ulong)count);
        else Head(0xDF, 4, (ulong)count);
    }

    /// <summary>Writes bytes as they are.</summary>
    public void WriteRaw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(buffer.GetSpan(bytes.Length));
        buffer.Advance(bytes.Length);
    }

    private void WriteStringHeader(int length)
    {
        if (length <= 31) WriteCode((byte)(0xA0 | length));
        else if (length <= byte.MaxValue) Head(0xD9, 1, (ulong)length);
        else if (length <= ushort.MaxValue) Head(0xDA, 2, (ulong)length);
        else Head(0xDB, 4, (ulong)length);
    }

    private void WriteCode(byte code)
    {
        buffer.GetSpan(1)[0] = code;
        buffer.Advance(1);
    }

    private void Head(byte code, int bytes, ulong value)
    {
        Span<byte> destination = buffer.GetSpan(9);
        destination[0] = code;
        BinaryPrimitives.WriteUInt64BigEndian(destination[1..], value << (64 - (8 * bytes)));
        buffer.Advance(1 + bytes);
    }
}
