using KvTier.Client;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary>A sequence as the <c>sequence</c> verbs show it.</summary>
internal sealed record SequenceRow(
    string Name, int Blocks, long Tokens, string[] Digests, bool Rotates, long DigestBytes, long HotBytes, long QuarantinedChunks,
    long DeviceBytes)
{
    /// <summary>A row of what a silo says.</summary>
    public static SequenceRow Of(SequenceDescription sequence) => new(
        sequence.Name, sequence.Blocks, sequence.Tokens, [.. sequence.Digests.Select(TextOf)], sequence.Rotation is not null,
        sequence.DigestBytes, sequence.HotBytes, sequence.QuarantinedChunks, sequence.DeviceBytes);

    /// <summary>Rows as a table.</summary>
    public static Table TableOf(IEnumerable<SequenceRow> rows)
    {
        Table table = new Table().AddColumns(
            "name", "blocks", "tokens", "digests", "digest bytes", "hot bytes", "device bytes", "quarantined chunks");
        foreach (SequenceRow row in rows)
        {
            table.AddRow(
                Markup.Escape(row.Name), Units.Count(row.Blocks), Units.Count(row.Tokens), string.Join(", ", row.Digests),
                Units.Bytes(row.DigestBytes), Units.Bytes(row.HotBytes), Units.Bytes(row.DeviceBytes),
                Units.Count(row.QuarantinedChunks));
        }

        return table;
    }

    private static string TextOf(DigestSpec digest) => $"{digest.Kind.ToString().ToLowerInvariant()}/{digest.ChunkTokens}";
}
