using FsCheck;
using FsCheck.Fluent;

namespace KvTier.Protocol.Tests;

/// <summary>Whatever is written is read back, for values that FsCheck makes.</summary>
public sealed class RoundTripTests
{
    [Fact]
    public void Headers_ComeBack() =>
        Prop.ForAll<ulong, uint, ushort>((requestId, crc, opcode) =>
        {
            var header = new FrameHeader(FrameKind.Notice, (Opcode)opcode, requestId, (int)(crc % 4_194_304), crc, crc / 4);
            byte[] bytes = new byte[FrameHeader.SizeBytes];
            header.Write(bytes);
            return FrameHeader.TryParse(bytes, Limits.Default, out FrameHeader read) == FrameStatus.Ok && read == header;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Puts_ComeBack() =>
        Prop.ForAll<NonEmptyArray<byte>[], uint, ushort>((keys, check, ns) =>
        {
            using var buffer = new FrameBuffer(1);
            PutRequestWriter writer = PutRequestWriter.Begin(buffer, ns, AckLevel.Ssd, PutFlags.Overwrite, check, 5, keys.Length);
            int total = 0;
            for (int i = 0; i < keys.Length; i++)
            {
                writer.Add(keys[i].Get, i * 1000, (byte)i, check ^ (uint)i);
                total += i * 1000;
            }

            if (PutRequestReader.TryRead(buffer.WrittenSpan, total, Limits.Default, out PutRequestReader reader) is not null) return false;
            bool right = reader.Count == keys.Length && reader.Namespace == ns && reader.TtlMs == check && reader.DeadlineMs == 5
                && reader.Ack == AckLevel.Ssd && reader.Flags == PutFlags.Overwrite;
            for (int i = 0; i < keys.Length; i++)
            {
                right &= reader.TryReadNext(out PutItem item) && item.Key.SequenceEqual(keys[i].Get)
                    && item.Length == i * 1000 && item.Codec == (byte)i && item.Check == (check ^ (uint)i);
            }

            return right && !reader.TryReadNext(out _);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Gets_ComeBack() =>
        Prop.ForAll<ulong[], PositiveInt, ushort>((numbers, offset, ns) =>
        {
            using var buffer = new FrameBuffer(1);
            BlockId[] ids = [.. numbers.Select(number => new BlockId(number, ~number))];
            ByteRange[] ranges = [.. numbers.Select((_, i) => new ByteRange(offset.Get, i))];
            GetRequest.Write(buffer, ns, 9, ids, ranges);
            if (GetRequest.TryRead(buffer.WrittenSpan, Limits.Default, out GetRequest request) is not null) return false;
            bool right = request.Namespace == ns && request.DeadlineMs == 9 && Recode.ToArray(request.Ids).SequenceEqual(ids);
            for (int i = 0; i < ranges.Length; i++) right &= request.Ranges[i] == ranges[i];
            return right;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Errors_ComeBack() =>
        Prop.ForAll<ushort, NonNull<string>, NonNull<string>>((code, field, value) =>
        {
            using var buffer = new FrameBuffer(1);
            var error = new KvError((ErrorCode)code, Clean(field.Get), Clean(value.Get), "limit");
            ErrorBody.Write(buffer, error);
            return ErrorBody.Read(buffer.WrittenSpan) == error;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Profiles_ComeBack()
    {
        foreach (ModelProfile profile in Profiles.BuiltIn)
        {
            using var buffer = new FrameBuffer(1);
            var descriptor = new NamespaceDescriptor("tenant-1", profile);
            new NamespaceOpenRequest(descriptor).Write(buffer);
            NamespaceDescriptor read = NamespaceOpenRequest.Read(buffer.WrittenSpan).Value.Descriptor;
            Assert.Equal(descriptor.CanonicalText, read.CanonicalText);
            Assert.Equal(descriptor.Id, read.Id);
        }
    }

    [Fact]
    public void Limits_ComeBackInEveryField()
    {
        var limits = new Limits
        {
            KeyBytesMax = 1,
            BlockBytesMax = 2,
            BatchBlocksMax = 3,
            FrameBodyBytesMax = 4,
            FramePayloadBytesMax = 5,
            ConnectionsMax = 6,
            InflightRequestsMax = 7,
            LeasesMax = 8,
            ReservationsMax = 9,
            LeaseMsMax = 10,
            PinMsMax = 11,
            DeadlineMsMax = 12,
            NamespacesMax = 13,
        };
        using var buffer = new FrameBuffer(1);
        new HelloResponse(1, "silo", "0", null, limits).Write(buffer);
        Assert.Equal(limits, HelloResponse.Read(buffer.WrittenSpan).Value.Limits);
        Assert.Equal(typeof(Limits).GetProperties().Count(property => !property.GetMethod!.IsStatic), LimitsCodec.List(limits).Count);
    }

    [Fact]
    public void RespCommands_SentInRandomPieces_ComeBack() =>
        Prop.ForAll<NonEmptyArray<NonEmptyArray<byte[]>>, int>((commands, seed) =>
        {
            string[][] expected = [.. commands.Get.Select(command => command.Get.Select(a => RespFeed.Latin1(a.AsSpan())).ToArray())];
            byte[] wire = [.. expected.SelectMany(command => RespFeed.Encode(command))];
            var random = new Random(seed);
            var feed = new RespFeed(takeBulks: seed % 2 == 0, streamBytesMin: 1);
            for (int sent = 0; sent < wire.Length;)
            {
                int count = Math.Min(random.Next(1, 12), wire.Length - sent);
                feed.Append(wire.AsSpan(sent, count));
                sent += count;
            }

            return feed.Commands.Select(c => string.Join('|', c)).SequenceEqual(expected.Select(c => string.Join('|', c)));
        }).QuickCheckThrowOnFailure();

    private static string Clean(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
}
