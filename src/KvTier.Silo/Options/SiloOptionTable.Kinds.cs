using System.Globalization;
using System.Net;

namespace KvTier.Silo;

/// <content>The kinds of option: how each is read, shown and checked.</content>
public static partial class SiloOptionTable
{
    private static SiloOption Number(
        string name, long min, long max, string help, Func<SiloOptions, long> get, Func<SiloOptions, long, SiloOptions> set)
    {
        string allowed = $"{Invariant(min)} to {Invariant(max)}";
        return new SiloOption(
            name, "number", allowed, help,
            o => Invariant(get(o)),
            (o, text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) && value >= min
                && value <= max
                ? set(o, value)
                : KvError.InvalidArgument(name, text, $"a number, {allowed}"),
            o => get(o) >= min && get(o) <= max ? null : KvError.InvalidArgument(name, get(o), allowed));
    }

    private static SiloOption Bytes(
        string name, long min, long max, string help, Func<SiloOptions, long> get, Func<SiloOptions, long, SiloOptions> set)
    {
        string allowed = $"{SizeText.Show(min)} to {SizeText.Show(max)}";
        return new SiloOption(
            name, "bytes", allowed, help,
            o => SizeText.Show(get(o)),
            (o, text) => !SizeText.TryParse(text, out long value) ? KvError.InvalidArgument(name, text, SizeText.Form)
                : value < min || value > max ? KvError.InvalidArgument(name, text, allowed)
                : set(o, value),
            o => get(o) >= min && get(o) <= max ? null : KvError.InvalidArgument(name, get(o), allowed));
    }

    private static SiloOption Limit(
        string name, long min, long max, string help, Func<Limits, long> get, Func<Limits, long, Limits> set, bool bytes = false) =>
        bytes
            ? Bytes("limits." + name, min, max, help, o => get(o.Limits), (o, v) => o with { Limits = set(o.Limits, v) })
            : Number("limits." + name, min, max, help, o => get(o.Limits), (o, v) => o with { Limits = set(o.Limits, v) });

    private static SiloOption Port(string name, string help, Func<SiloOptions, int> get, Func<SiloOptions, int, SiloOptions> set) =>
        Number(name, 0, 65_535, help, o => get(o), (o, v) => set(o, (int)v));

    private static SiloOption Switch(string name, string help, Func<SiloOptions, bool> get, Func<SiloOptions, bool, SiloOptions> set) =>
        new(
        name, "switch", "true or false", help,
        o => get(o) ? "true" : "false",
        (o, text) => bool.TryParse(text, out bool value) ? set(o, value) : KvError.InvalidArgument(name, text, "true or false"),
        _ => null);

    private static SiloOption Text(
        string name, string allowed, string help, Func<string, bool> isValid,
        Func<SiloOptions, string?> get, Func<SiloOptions, string, SiloOptions> set) => new(
        name, "text", allowed, help,
        o => get(o) ?? "",
        (o, text) => isValid(text) ? set(o, text) : KvError.InvalidArgument(name, text, allowed),
        o => isValid(get(o) ?? "") ? null : KvError.InvalidArgument(name, get(o), allowed));

    private static SiloOption Name(string name, string help, Func<SiloOptions, string> get, Func<SiloOptions, string, SiloOptions> set) =>
        Text(name, "1 to 128 characters of [a-z0-9._-]", help, Names.IsValid, get, set);

    private static SiloOption Address(string name, string help, Func<SiloOptions, string> get, Func<SiloOptions, string,
        SiloOptions> set) =>
        Text(name, "an IP address such as 127.0.0.1, 0.0.0.0 or ::1", help, text => IPAddress.TryParse(text, out _), get, set);

    private static SiloOption OneOf(
        string name, string[] values, string help, Func<SiloOptions, string> get, Func<SiloOptions, string, SiloOptions> set) =>
        Text(name, string.Join(" or ", values), help, values.Contains, get, set);

    private static SiloOption FilePath(
        string name, string help, int lengthMax, Func<SiloOptions, string?> get, Func<SiloOptions, string?, SiloOptions> set) =>
        Text(name, $"a path of at most {lengthMax} bytes", help,
            text => System.Text.Encoding.UTF8.GetByteCount(text) <= lengthMax && !text.Contains('\0'), get, (o, v) =>
                set(o, v.Length == 0 ? null : v));

    private static SiloOption Secret(string name, string help, Func<SiloOptions, string?> get, Func<SiloOptions, string?, SiloOptions> set)
    {
        const string allowed = "at most 1,024 characters";
        return new SiloOption(
            name, "text", allowed, help,
            o => get(o) ?? "",
            (o, text) => text.Length <= 1024 ? set(o, text.Length == 0 ? null : text)
                : KvError.InvalidArgument(name, $"{text.Length} characters", allowed),
            o => get(o) is not { Length: > 1024 or 0 } ? null
                : KvError.InvalidArgument(name, $"{get(o)!.Length} characters", "1 to 1,024 characters, or null"))
        {
            Secret = true,
        };
    }

    private static SiloOption NamespaceList() => new(
        "namespaces", "list", "tenant/profile with a built-in profile, separated by commas; in a file also whole profiles",
        "Namespaces registered at start.",
        o => string.Join(',', o.Namespaces.Select(ns => ns.Name)),
        (o, text) => NamespaceText.ParseList(text).TryGet(out IReadOnlyList<NamespaceDescriptor>? list, out KvError? error)
            ? o with { Namespaces = list }
            : error,
        _ => null);

    private static string Invariant(long value) => value.ToString(CultureInfo.InvariantCulture);
}
