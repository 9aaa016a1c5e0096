namespace KvTier;

/// <summary>The rule for names of tenants and profiles.</summary>
public static class Names
{
    /// <summary>Longest name, in characters.</summary>
    public const int LengthMax = 128;

    /// <summary>True for 1 to 128 characters of <c>[a-z0-9._-]</c>.</summary>
    public static bool IsValid(string? name)
    {
        if (name is not { Length: > 0 and <= LengthMax }) return false;
        foreach (char c in name)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '.' or '_' or '-')) return false;
        }

        return true;
    }
}
