namespace KvTier.Silo;

/// <summary>Namespaces as people write them: <c>tenant/profile</c>, with a built-in profile.</summary>
public static class NamespaceText
{
    /// <summary>Reads one namespace, such as <c>acme/llama-3.1-8b</c>.</summary>
    public static Result<NamespaceDescriptor> Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.Split('/');
        if (parts.Length != 2) return KvError.InvalidArgument("namespace", text, "tenant/profile, such as acme/llama-3.1-8b");
        if (Profiles.Find(parts[1]) is not { } profile)
            return KvError.InvalidArgument("namespace.profile", parts[1],
                "one of " + string.Join(", ", Profiles.BuiltIn.Select(p => p.Name)));
        var descriptor = new NamespaceDescriptor(parts[0], profile);
        return descriptor.Validate() is { } error ? error : descriptor;
    }

    /// <summary>Reads namespaces separated by commas; an empty text is an empty list.</summary>
    public static Result<IReadOnlyList<NamespaceDescriptor>> ParseList(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var list = new List<NamespaceDescriptor>();
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!Parse(part).TryGet(out NamespaceDescriptor? descriptor, out KvError? error)) return error;
            list.Add(descriptor);
        }

        return list;
    }
}
