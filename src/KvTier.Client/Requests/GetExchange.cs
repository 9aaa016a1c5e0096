using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Fetches blocks over the socket, straight into the caller's buffers.</summary>
internal sealed class GetExchange : Request
{
    private ReadOnlyMemory<GetBlock> blocks;
    private Memory<BlockResult> results;
    private BlockId[] ids = [];
    private BlockId[] groups = [];
    private ByteRange[] ranges = [];
    private GetItem[] items = [];
    private uint crc;

    public override Opcode Opcode => Opcode.Get;

    public override int ItemCount => blocks.Length;

    public override int SinkCount => blocks.Length;

    /// <summary>Silos that hold the group of the first block, as the silo says.</summary>
    public int Copies { get; private set; }

    /// <summary>Blocks whose bytes failed their check.</summary>
    public int CorruptCount { get; private set; }

    public void Set(KvNamespace ns, ReadOnlyMemory<GetBlock> get, Memory<BlockResult> answers)
    {
        Namespace = ns;
        blocks = get;
        results = answers;
        CorruptCount = 0;
        if (ids.Length < get.Length)
        {
            ids = new BlockId[get.Length];
            groups = new BlockId[get.Length];
            ranges = new ByteRange[get.Length];
            items = new GetItem[get.Length];
        }
    }

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs)
    {
        bool ranged = false, grouped = false;
        ReadOnlySpan<GetBlock> list = blocks.Span;
        for (int i = 0; i < list.Length; i++)
        {
            ids[i] = list[i].Id;
            ranges[i] = new ByteRange(list[i].Offset, list[i].Length);
            ranged |= ranges[i] != ByteRange.Whole;
            grouped |= list[i].Group != default;
            groups[i] = list[i].Group == default ? list[i].Id : list[i].Group;
        }

        GetRequest.Write(
            buffer, handle, deadlineMs, ids.AsSpan(0, list.Length), ranged ? ranges.AsSpan(0, list.Length) : default,
            Route.With(grouped ? groups.AsSpan(0, list.Length) : default));
    }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (GetResponseReader.TryRead(body, blocks.Length, payloadLength, limits, out GetResponseReader reader) is { } error) return error;
        AnsweredEpoch = reader.Epoch;
        Copies = reader.Copies;
        ReadOnlySpan<GetBlock> list = blocks.Span;
        for (int i = 0; reader.TryReadNext(out items[i]); i++)
        {
            GetItem item = items[i];
            if (item.Status.IsHit())
            {
                int expected = list[i].Length > 0 ? list[i].Length : item.BlockLength - list[i].Offset;
                if (item.Length != expected)
                    return new KvError(ErrorCode.ProtocolViolation, $"get.items[{i}].length", $"{item.Length}", $"{expected}");
            }

            if (i + 1 == list.Length) break;
        }

        return null;
    }

    public override Memory<byte> BeginSink(int index, out int length)
    {
        crc = 0;
        length = items[index].Length;
        Memory<byte> destination = blocks.Span[index].Destination;
        return destination.Length < length ? default : destination[..length];
    }

    public override void TakePiece(ReadOnlySpan<byte> piece) => crc = Crc32C.Append(crc, piece);

    public override void EndSink(int index)
    {
        GetItem item = items[index];
        ref BlockResult result = ref results.Span[index];
        if (!item.Status.IsHit())
        {
            result = BlockResult.Miss(item.Status.Reason());
            return;
        }

        GetBlock block = blocks.Span[index];
        if (block.Destination.Length < item.Length)
        {
            result = new BlockResult(BlockStatus.DestinationTooSmall, MissReason.None, item.Length, item.BlockLength, item.Codec);
        }
        else if (BlockCheck.Compute(block.Id, item.Codec, block.Offset, item.Length, crc) != item.Check)
        {
            CorruptCount++;
            result = BlockResult.Miss(MissReason.Corrupt);
        }
        else
        {
            BlockStatus status = item.Status == Protocol.GetStatus.SsdHit ? BlockStatus.SsdHit : BlockStatus.HostHit;
            result = new BlockResult(status, MissReason.None, item.Length, item.BlockLength, item.Codec);
        }
    }

    public override void Clear()
    {
        base.Clear();
        blocks = default;
        results = default;
    }
}
