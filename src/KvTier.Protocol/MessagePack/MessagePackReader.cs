using System.Text;

namespace KvTier.Protocol;

/// <summary>
/// Reads MessagePack from a span, with MessagePack-CSharp's method names but without its exceptions: the first read that fails (wrong type,
/// value out of range, bytes cut short, more announced than is left) makes the reader fail for good. From then on every read returns the
/// default, <see cref="IsOk"/> is false and <see cref="Consumed"/> stands where the value that failed begins.
/// </summary>
/// <remarks>Text and bytes are returned as spans of the input; no length is believed before it is compared with what is left.</remarks>
public ref struct MessagePackReader
{
    /// <summary>Deepest nesting of containers that <see cref="Skip"/> goes through.</summary>
    public const int DepthMax = 32;

    private static readonly UTF8Encoding strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlySpan<byte> source;
    private int position;
    private bool failed;

    /// <summary>Reads from the start of a span.</summary>
    public MessagePackReader(ReadOnlySpan<byte> source) => this.source = source;

    /// <summary>False after the first failed read.</summary>
    public readonly bool IsOk => !failed;

    /// <summary>True when nothing failed and nothing is left.</summary>
    public readonly bool End => !failed && position == source.Length;

    /// <summary>Bytes read.</summary>
    public readonly int Consumed => position;

    /// <summary>Bytes left.</summary>
    public readonly int Remaining => source.Length - position;

    /// <summary>Type of the next value; <see cref="MessagePackType.Unknown"/> at the end, for a cut head and after a failure.</summary>
    public readonly MessagePackType NextMessagePackType => failed ? MessagePackType.Unknown : Peek().Type;

    /// <summary>Makes the reader fail.</summary>
    public void Fail() => failed = true;

    /// <summary>Reads nil if it is next.</summary>
    /// <returns>False, with nothing read, for any other value.</returns>
    public bool TryReadNil()
    {
        if (failed || position >= source.Length || source[position] != 0xC0) return false;
        position++;
        return true;
    }

    /// <summary>Reads nil.</summary>
    public void ReadNil()
    {
        if (!TryReadNil()) failed = true;
    }

    /// <summary>Reads true or false.</summary>
    public bool ReadBoolean()
    {
        MessagePackHead head = Take(MessagePackType.Boolean);
        return head.Value != 0;
    }

    /// <summary>Reads an integer of any format that is 0 to 255.</summary>
    public byte ReadByte() => (byte)ReadUnsigned(byte.MaxValue);

    /// <summary>Reads an integer of any format that is 0 to 65,535.</summary>
    public ushort ReadUInt16() => (ushort)ReadUnsigned(ushort.MaxValue);

    /// <summary>Reads an integer of any format that fits.</summary>
    public uint ReadUInt32() => (uint)ReadUnsigned(uint.MaxValue);

    /// <summary>Reads an integer of any format that is not negative.</summary>
    public ulong ReadUInt64() => ReadUnsigned(ulong.MaxValue);

    /// <summary>Reads an integer of any format that fits.</summary>
    public int ReadInt32() => (int)ReadSigned(int.MinValue, int.MaxValue);

    /// <summary>Reads an integer of any format that fits.</summary>
    public long ReadInt64() => ReadSigned(long.MinValue, long.MaxValue);

    /// <summary>Reads a 32-bit float. A 64-bit one fails: it may not fit.</summary>
    public float ReadSingle()
    {
        MessagePackHead head = failed ? default : Peek();
        if (head.Type != MessagePackType.Float || head.IsDouble)
        {
            failed = true;
            return 0;
        }

        position += head.SizeBytes;
        return BitConverter.UInt32BitsToSingle((uint)head.Value);
    }

    /// <summary>Reads a float of either size, or an integer as a float.</summary>
    public double ReadDouble()
    {
        if (NextMessagePackType == MessagePackType.Integer)
        {
            MessagePackHead integer = Take(MessagePackType.Integer);
            return integer.IsNegative ? unchecked((long)integer.Value) : integer.Value;
        }

        MessagePackHead head = Take(MessagePackType.Float);
        return head.IsDouble ? BitConverter.UInt64BitsToDouble(head.Value) : BitConverter.UInt32BitsToSingle((uint)head.Value);
    }

    /// <summary>Reads text, which must be valid UTF-8, into a new string: at most as long as what is left of the input.</summary>
    public string ReadString()
    {
        ReadOnlySpan<byte> utf8 = ReadStringSpan();
        if (System.Text.Unicode.Utf8.IsValid(utf8)) return strictUtf8.GetString(utf8);
        failed = true;
        return "";
    }

    /// <summary>Reads text as the UTF-8 bytes that stand in the input; they are not checked to be UTF-8.</summary>
    public ReadOnlySpan<byte> ReadStringSpan() => TakeBytes(MessagePackType.String);

    /// <summary>Reads bytes as they stand in the input.</summary>
    public ReadOnlySpan<byte> ReadBytes() => TakeBytes(MessagePackType.Binary);

    /// <summary>Reads the head of an array; that many values follow.</summary>
    /// <returns>The count, never above the bytes left, since each value takes at least one.</returns>
    public int ReadArrayHeader() => TakeCount(MessagePackType.Array, bytesPerEntry: 1);

    /// <summary>Reads the head of a map; that many pairs of key and value follow.</summary>
    /// <returns>The count, never above half of the bytes left.</returns>
    public int ReadMapHeader() => TakeCount(MessagePackType.Map, bytesPerEntry: 2);

    /// <summary>
    /// Reads over one value of any type with all that is in it; fails when containers are nested deeper than <see cref="DepthMax"/>.
    /// </summary>
    public void Skip()
    {
        Span<int> left = stackalloc int[DepthMax];
        int depth = 0;
        do
        {
            while (depth > 0 && left[depth - 1] == 0) depth--;
            if (depth > 0) left[depth - 1]--;
            switch (NextMessagePackType)
            {
                case MessagePackType.Array or MessagePackType.Map:
                    if (depth == DepthMax)
                    {
                        failed = true;
                        return;
                    }

                    bool isMap = NextMessagePackType == MessagePackType.Map;
                    left[depth++] = isMap ? 2 * ReadMapHeader() : ReadArrayHeader();
                    break;
                case MessagePackType.String or MessagePackType.Binary or MessagePackType.Extension:
                    TakeBytes(NextMessagePackType);
                    break;
                case MessagePackType.Unknown:
                    failed = true;
                    break;
                default:
                    position += Peek().SizeBytes;
                    break;
            }

            while (depth > 0 && left[depth - 1] == 0) depth--;
        }
        while (depth > 0 && !failed);
    }

    private readonly MessagePackHead Peek() => MessagePackHead.Read(source[position..]);

    private MessagePackHead Take(MessagePackType type)
    {
        MessagePackHead head = failed ? default : Peek();
        if (head.Type != type)
        {
            failed = true;
            return default;
        }

        position += head.SizeBytes;
        return head;
    }

    private ulong ReadUnsigned(ulong max)
    {
        MessagePackHead head = failed ? default : Peek();
        if (head.Type != MessagePackType.Integer || head.IsNegative || head.Value > max)
        {
            failed = true;
            return 0;
        }

        position += head.SizeBytes;
        return head.Value;
    }

    private long ReadSigned(long min, long max)
    {
        MessagePackHead head = failed ? default : Peek();
        bool fits = head.IsNegative ? unchecked((long)head.Value) >= min : head.Value <= (ulong)max;
        if (head.Type != MessagePackType.Integer || !fits)
        {
            failed = true;
            return 0;
        }

        position += head.SizeBytes;
        return unchecked((long)head.Value);
    }

    private ReadOnlySpan<byte> TakeBytes(MessagePackType type)
    {
        MessagePackHead head = failed ? default : Peek();
        if (head.Type != type || head.Value > (ulong)(Remaining - head.SizeBytes))
        {
            failed = true;
            return default;
        }

        position += head.SizeBytes;
        ReadOnlySpan<byte> bytes = source.Slice(position, (int)head.Value);
        position += bytes.Length;
        return bytes;
    }

    private int TakeCount(MessagePackType type, int bytesPerEntry)
    {
        MessagePackHead head = failed ? default : Peek();
        if (head.Type != type || head.Value > (ulong)((Remaining - head.SizeBytes) / bytesPerEntry))
        {
            failed = true;
            return 0;
        }

        position += head.SizeBytes;
        return (int)head.Value;
    }
}
