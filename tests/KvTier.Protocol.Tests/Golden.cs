using System.Text.Json;

namespace KvTier.Protocol.Tests;

/// <summary>One entry of <c>tests/golden/frames.json</c>.</summary>
internal sealed record GoldenFrame(string Name, FrameKind Kind, Opcode Opcode, ulong RequestId, byte[] Payload, byte[] Bytes)
{
    /// <summary>Header and body without the payload, as the codecs make them.</summary>
    public ReadOnlySpan<byte> HeaderAndBody => Bytes.AsSpan(0, Bytes.Length - Payload.Length);

    public byte[] Body => HeaderAndBody[FrameHeader.SizeBytes..].ToArray();

    public static IReadOnlyList<GoldenFrame> All { get; } = Read();

    public static GoldenFrame Of(string name) => All.Single(frame => frame.Name == name);

    private static List<GoldenFrame> Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.GoldenPath, "frames.json")));
        return [.. document.RootElement.EnumerateArray().Select(entry => new GoldenFrame(
            entry.GetProperty("name").GetString()!,
            (FrameKind)entry.GetProperty("kind").GetByte(),
            (Opcode)entry.GetProperty("opcode").GetUInt16(),
            ulong.Parse(entry.GetProperty("requestId").GetString()!),
            Convert.FromHexString(entry.GetProperty("payload").GetString()!),
            Convert.FromHexString(entry.GetProperty("frame").GetString()!)))];
    }
}
