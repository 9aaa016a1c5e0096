namespace KvTier.Silo.Resp.Routing;

/// <summary>The first line of a reply of another silo.</summary>
/// <param name="Kind">Its first byte: <c>+</c>, <c>-</c>, <c>:</c>, <c>$</c> or <c>*</c>.</param>
/// <param name="Text">The rest of the line, in Latin-1; empty where it is a number.</param>
/// <param name="Number">The number in it; of a bulk or array its length, -1 for none; 0 where the line is text.</param>
internal readonly record struct RespReplyHead(char Kind, string Text, long Number)
{
    /// <summary>True for an error.</summary>
    public bool IsError => Kind == '-';

    /// <summary>The line as it came, its end included.</summary>
    public string Line => $"{Kind}{Text}\r\n";
}
