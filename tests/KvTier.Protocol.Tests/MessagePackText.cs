using System.Text;

namespace KvTier.Protocol.Tests;

/// <summary>Any MessagePack value as the text that <c>messagepack_peer.py</c> uses.</summary>
internal static class MessagePackText
{
    public static string Read(ReadOnlySpan<byte> source)
    {
        var reader = new MessagePackReader(source);
        var text = new StringBuilder();
        Append(ref reader, text);
        return reader.End ? text.ToString() : "malformed";
    }

    private static void Append(ref MessagePackReader reader, StringBuilder text)
    {
        switch (reader.NextMessagePackType)
        {
            case MessagePackType.Nil:
                reader.ReadNil();
                text.Append('n');
                break;
            case MessagePackType.Boolean:
                text.Append(reader.ReadBoolean() ? 't' : 'f');
                break;
            case MessagePackType.Integer:
                MessagePackReader before = reader;
                long signed = reader.ReadInt64();
                if (!reader.IsOk)
                {
                    reader = before;
                    text.Append('i').Append(reader.ReadUInt64());
                    break;
                }

                text.Append('i').Append(signed);
                break;
            case MessagePackType.Float:
                text.Append('d').Append(BitConverter.DoubleToUInt64Bits(reader.ReadDouble()).ToString("x16"));
                break;
            case MessagePackType.String:
                text.Append('s').Append(Convert.ToHexStringLower(Encoding.UTF8.GetBytes(reader.ReadString())));
                break;
            case MessagePackType.Binary:
                text.Append('b').Append(Convert.ToHexStringLower(reader.ReadBytes()));
                break;
            case MessagePackType.Array:
                AppendMany(ref reader, text, reader.ReadArrayHeader(), isMap: false);
                break;
            case MessagePackType.Map:
                AppendMany(ref reader, text, reader.ReadMapHeader(), isMap: true);
                break;
            default:
                reader.Skip();
                text.Append('x');
                break;
        }
    }

    private static void AppendMany(ref MessagePackReader reader, StringBuilder text, int count, bool isMap)
    {
        text.Append(isMap ? '{' : '[');
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            if (i > 0) text.Append(',');
            Append(ref reader, text);
            if (!isMap) continue;
            text.Append(':');
            Append(ref reader, text);
        }

        text.Append(isMap ? '}' : ']');
    }
}
