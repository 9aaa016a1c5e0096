using System.Globalization;

namespace KvTier.Protocol;

/// <summary>The error <see cref="ErrorCode.Moved"/>: another silo owns what was asked for. Value: its name; limit: its endpoint, a
/// blank, and the epoch that says so.</summary>
public static class MovedError
{
    /// <summary>Makes the error.</summary>
    /// <param name="field">What was asked for, such as <c>sequence chat-1</c>.</param>
    /// <param name="owner">The owner.</param>
    /// <param name="epoch">Epoch of the map that says so.</param>
    public static KvError Of(string field, SiloEntry owner, long epoch) =>
        new(ErrorCode.Moved, field, owner.Name, string.Create(CultureInfo.InvariantCulture, $"{owner.Endpoint} {epoch}"));

    /// <summary>Reads the owner's endpoint and the epoch out of an error.</summary>
    /// <returns>False when it is another error, or says neither.</returns>
    public static bool TryRead(KvError error, out string endpoint, out long epoch)
    {
        endpoint = "";
        epoch = 0;
        int blank = error.Limit.LastIndexOf(' ');
        if (error.Code != ErrorCode.Moved || blank <= 0) return false;
        if (!long.TryParse(error.Limit.AsSpan(blank + 1), NumberStyles.None, CultureInfo.InvariantCulture, out epoch)) return false;
        endpoint = error.Limit[..blank];
        return true;
    }
}
