using System.Text;

namespace KvTier.Protocol;

/// <summary>
/// Reads the fields of a body one after another, checks each, and keeps the first error; after it every read returns a default.
/// A field is named by prefix, index and name only when it fails, so that good bodies cost no allocation.
/// </summary>
internal ref struct BodyReader
{
    private MessagePackReader reader;
    private readonly string path;
    private int index;

    /// <summary>Begins a body, which is one array with at least <paramref name="fieldsMin"/> elements.</summary>
    public BodyReader(ReadOnlySpan<byte> body, string path, int fieldsMin)
    {
        reader = new MessagePackReader(body);
        this.path = path;
        index = -1;
        FieldsLeft = Header("body", fieldsMin) - fieldsMin;
    }

    /// <summary>The first error; null while all is well.</summary>
    public KvError? Error { get; private set; }

    /// <summary>True while all is well.</summary>
    public readonly bool IsOk => Error is null;

    /// <summary>Elements of the body beyond those this version knows.</summary>
    public int FieldsLeft { get; private set; }

    /// <summary>Bytes read.</summary>
    public readonly int Consumed => reader.Consumed;

    /// <summary>Says which item of a list the next fields belong to; -1 for none. Used in the names of errors.</summary>
    public void At(int item) => index = item;

    /// <summary>Skips what a later version may have added at the end of the body, and sees that nothing follows.</summary>
    public void Finish()
    {
        index = -1;
        for (int i = 0; i < FieldsLeft && IsOk; i++) SkipField("body");
        if (IsOk && !reader.End) Refuse("body", $"{reader.Remaining} bytes after the array", "nothing");
    }

    /// <summary>
    /// Begins elements that a body may have at its end: call it before they are read, in their order.
    /// </summary>
    /// <param name="fields">How many there are when there is one.</param>
    /// <returns>False when the body ends before them.</returns>
    public bool TryOptional(int fields)
    {
        if (!IsOk || FieldsLeft == 0) return false;
        index = -1;
        FieldsLeft = Math.Max(0, FieldsLeft - fields);
        return true;
    }

    /// <summary>An unsigned integer of at most <paramref name="max"/>.</summary>
    public ulong Unsigned(string field, ulong max, ulong min = 0)
    {
        if (!IsOk) return 0;
        MessagePackType type = reader.NextMessagePackType;
        MessagePackReader before = reader;
        ulong value = reader.ReadUInt64();
        if (!reader.IsOk)
        {
            Refuse(field, type == MessagePackType.Integer ? $"{before.ReadInt64()}" : Name(type), $"an integer from {min} to {max}");
            return 0;
        }

        if (value > max)
        {
            Error = KvError.LimitExceeded(FullName(field), value, max);
            return 0;
        }

        if (value < min)
        {
            Refuse(field, $"{value}", $"an integer from {min} to {max}");
            return 0;
        }

        return value;
    }

    /// <summary>An unsigned integer that fits into a non-negative <see cref="int"/> and is at most <paramref name="max"/>.</summary>
    public int Int(string field, int max, int min = 0) => (int)Unsigned(field, (ulong)max, (ulong)min);

    /// <summary>An unsigned integer that fits into a non-negative <see cref="long"/> and is at most <paramref name="max"/>.</summary>
    public long Long(string field, long max = long.MaxValue, long min = 0) => (long)Unsigned(field, (ulong)max, (ulong)min);

    /// <summary>True or false.</summary>
    public bool Bool(string field)
    {
        if (!IsOk) return false;
        MessagePackType type = reader.NextMessagePackType;
        bool value = reader.ReadBoolean();
        if (!reader.IsOk) Refuse(field, Name(type), "true or false");
        return value;
    }

    /// <summary>A float or an integer.</summary>
    public double Double(string field)
    {
        if (!IsOk) return 0;
        MessagePackType type = reader.NextMessagePackType;
        double value = reader.ReadDouble();
        if (!reader.IsOk) Refuse(field, Name(type), "a number");
        return value;
    }

    /// <summary>Bytes, of which there are <paramref name="min"/> to <paramref name="max"/>.</summary>
    public ReadOnlySpan<byte> Bytes(string field, int max, int min = 0)
    {
        if (!IsOk) return default;
        MessagePackType type = reader.NextMessagePackType;
        ReadOnlySpan<byte> value = reader.ReadBytes();
        if (!reader.IsOk)
        {
            Refuse(field, type == MessagePackType.Binary ? "cut short" : Name(type), $"bin of {min} to {max} bytes");
            return default;
        }

        return InRange(field, value.Length, min, max) ? value : default;
    }

    /// <summary>A bin of whole entries of <paramref name="entryBytes"/>, at most <paramref name="countMax"/> of them.</summary>
    public ReadOnlySpan<byte> Blob(string field, int entryBytes, int countMax)
    {
        ReadOnlySpan<byte> value = Bytes(field, int.MaxValue);
        if (!IsOk) return default;
        if (value.Length % entryBytes != 0)
        {
            Refuse(field, $"{value.Length} bytes", $"a multiple of {entryBytes} bytes");
            return default;
        }

        if (value.Length / entryBytes <= countMax) return value;
        Error = KvError.LimitExceeded($"{FullName(field)}.count", value.Length / entryBytes, countMax);
        return default;
    }

    /// <summary>Text of at most <paramref name="max"/> bytes of UTF-8.</summary>
    public string Text(string field, int max)
    {
        ReadOnlySpan<byte> utf8 = Utf8(field, max);
        return IsOk ? Encoding.UTF8.GetString(utf8) : "";
    }

    /// <summary>Text of at most <paramref name="max"/> bytes, as the UTF-8 in the body.</summary>
    public ReadOnlySpan<byte> Utf8(string field, int max)
    {
        if (!IsOk) return default;
        MessagePackType type = reader.NextMessagePackType;
        ReadOnlySpan<byte> utf8 = reader.ReadStringSpan();
        if (!reader.IsOk)
        {
            Refuse(field, type == MessagePackType.String ? "cut short" : Name(type), $"str of 0 to {max} bytes");
            return default;
        }

        if (!InRange(field, utf8.Length, 0, max)) return default;
        if (System.Text.Unicode.Utf8.IsValid(utf8)) return utf8;
        Refuse(field, "invalid bytes", "UTF-8");
        return default;
    }

    /// <summary>Reads nil if it is next.</summary>
    public bool TryNil() => IsOk && reader.TryReadNil();

    /// <summary>The head of a list of 0 to <paramref name="countMax"/> items.</summary>
    public int List(string field, int countMax)
    {
        int count = Header(field, 0);
        if (count <= countMax) return count;
        Error = KvError.LimitExceeded($"{FullName(field)}.count", count, countMax);
        return 0;
    }

    /// <summary>The head of a map.</summary>
    public int Map(string field)
    {
        if (!IsOk) return 0;
        MessagePackType type = reader.NextMessagePackType;
        int count = reader.ReadMapHeader();
        if (!reader.IsOk) Refuse(field, type == MessagePackType.Map ? "cut short" : Name(type), "a map");
        return count;
    }

    /// <summary>The head of one item, an array of at least <paramref name="fieldsMin"/> elements.</summary>
    /// <returns>How many elements it has beyond those; skip them with <see cref="EndItem"/>.</returns>
    public int BeginItem(string field, int fieldsMin) => Header(field, fieldsMin) - fieldsMin;

    /// <summary>Skips the elements that a later version may have added at the end of an item.</summary>
    public void EndItem(string field, int extra)
    {
        for (int i = 0; i < extra && IsOk; i++) SkipField(field);
    }

    /// <summary>Skips one value.</summary>
    public void SkipField(string field)
    {
        if (!IsOk) return;
        reader.Skip();
        if (!reader.IsOk) Refuse(field, "malformed", $"MessagePack nested at most {MessagePackReader.DepthMax} deep");
    }

    /// <summary>Refuses a field.</summary>
    public void Refuse(string field, string value, string limit) => Error ??= KvError.InvalidArgument(FullName(field), value, limit);

    /// <summary>Keeps an error found outside.</summary>
    public void Refuse(KvError error) => Error ??= error;

    private int Header(string field, int countMin)
    {
        if (!IsOk) return countMin;
        MessagePackType type = reader.NextMessagePackType;
        int count = reader.ReadArrayHeader();
        if (!reader.IsOk) Refuse(field, type == MessagePackType.Array ? "cut short" : Name(type), "an array");
        else if (count < countMin) Refuse(field, $"{count} elements", $"{countMin} or more");
        return IsOk ? count : countMin;
    }

    private bool InRange(string field, int length, int min, int max)
    {
        if (length > max) Error = KvError.LimitExceeded($"{FullName(field)}.length", length, max);
        else if (length < min) Refuse($"{field}.length", $"{length}", min == max ? $"{min}" : $"{min} to {max}");
        return IsOk;
    }

    private readonly string FullName(string field) => index < 0 ? $"{path}.{field}" : $"{path}.items[{index}].{field}";

    private static string Name(MessagePackType type) => type == MessagePackType.Unknown ? "missing" : type.ToString().ToLowerInvariant();
}
