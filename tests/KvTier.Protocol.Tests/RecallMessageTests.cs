namespace KvTier.Protocol.Tests;

/// <summary>What recall messages refuse, by name, and that they cost no memory.</summary>
public sealed class RecallMessageTests
{
    private static readonly RecallHead head = new()
    {
        Mode = RecallMode.Attend,
        QueryHeads = 2,
        Window = 1,
        HeadDim = 4,
        Dtype = Dtype.Float32,
        Layout = GatherLayout.KvHeadToken,
        Temperature = 1,
        LseMultiplier = 1,
        Selector = Selectors.Moments,
    };

    private static readonly Dictionary<string, (RecallHead Head, int Items, long Payload)> requests = new()
    {
        ["LimitExceeded: recall.mode is 4; allowed: 3"] = (head with { Mode = (RecallMode)4 }, 1, 32),
        ["InvalidArgument: recall.mode is 0; allowed: an integer from 1 to 3"] = (head with { Mode = default }, 1, 32),
        ["InvalidArgument: recall.queryHeads is 0; allowed: an integer from 1 to 65536"] = (head with { QueryHeads = 0 }, 1, 0),
        ["LimitExceeded: recall.window is 1025; allowed: 1024"] = (head with { Window = 1025 }, 1, 32),
        ["InvalidArgument: recall.headDim is 0; allowed: an integer from 1 to 65535"] = (head with { HeadDim = 0 }, 1, 0),
        ["InvalidArgument: recall.dtype is int8; allowed: fp32, fp16 or bf16"] = (head with { Dtype = Dtype.Int8 }, 1, 8),
        ["LimitExceeded: recall.layout is 4; allowed: 3"] = (head with { Layout = (GatherLayout)4 }, 1, 32),
        ["InvalidArgument: recall.temperature is 0; allowed: above 0 and finite"] = (head with { Temperature = 0 }, 1, 32),
        ["InvalidArgument: recall.lseMultiplier is NaN; allowed: above 0 and finite"] = (head with { LseMultiplier = float.NaN }, 1, 32),
        ["LimitExceeded: recall.leaseMs is 60001; allowed: 60000"] = (head with { LeaseMs = 60_001 }, 1, 32),
        ["InvalidArgument: recall.items.count is 0; allowed: 1 to 65536"] = (head, 0, 0),
        ["InvalidArgument: recall.payloadLength is 31; allowed: 32, items · window · queryHeads · headDim · bytes of dtype"] =
            (head, 1, 31),
        ["LimitExceeded: recall.queryBytes is 18874368; allowed: 16777216"] =
            (head with { QueryHeads = 65_536, HeadDim = 16, Dtype = Dtype.Float16, Window = 9 }, 1, 18_874_368),
    };

    private delegate RecallResponseItem Answer();

    private static readonly Dictionary<string, (RecallShape Shape, Answer Item, long Payload)> answers = new()
    {
        ["recall.items[0].counts.count"] = (Shape(RecallMode.Ids), () => Item([], []), 0),
        ["recall.items[0].units.count"] = (Shape(RecallMode.Ids), () => Item([3], [0, 1]), 0),
        ["recall.items[0].units"] = (Shape(RecallMode.Ids), () => Item([2], [1, 1]), 0),
        ["recall.items[0].sent.count"] = (Shape(RecallMode.Ids), () => Gather([1], [1], 0, 0), 0),
        ["recall.items[0].gatherRows"] = (Shape(RecallMode.Gather), () => Gather([1], [1], 17, 136), 136),
        ["recall.items[0].payloadLength"] = (Shape(RecallMode.Gather), () => Gather([1], [1], 16, 127), 127),
        ["recall.payloadLength"] = (Shape(RecallMode.Gather), () => Gather([1], [1], 16, 128), 127),
        ["recall.items.count"] = (Shape(RecallMode.Ids) with { Items = 2 }, () => Item([1], [1]), 0),
    };

    public static TheoryData<string> Requests => [.. requests.Keys];

    public static TheoryData<string> Answers => [.. answers.Keys];

    [Theory]
    [MemberData(nameof(Requests))]
    public void TryRead_OfARecallThatIsNotAllowed_NamesFieldValueAndLimit(string expected)
    {
        (RecallHead wrong, int items, long payload) = requests[expected];
        using var buffer = new FrameBuffer();
        RecallRequestWriter writer = RecallRequestWriter.Begin(buffer, wrong, items);
        for (int i = 0; i < items; i++) writer.Add("chat-1", 0, []);
        Assert.Equal(expected, $"{RecallRequestReader.TryRead(buffer.WrittenSpan, payload, Limits.Default, out _)}");
    }

    [Theory]
    [MemberData(nameof(Answers))]
    public void TryRead_OfAnAnswerThatDoesNotAddUp_NamesTheField(string field)
    {
        (RecallShape shape, Answer item, long payload) = answers[field];
        using var buffer = new FrameBuffer();
        RecallResponseWriter.Begin(buffer, 1).Add(item());
        Assert.Equal(field, RecallResponse.TryRead(buffer.WrittenSpan, shape, payload, out _)?.Field);
    }

    [Fact]
    public void TryRead_OfASlotOutsideOfTheArena_IsRefused()
    {
        using var buffer = new FrameBuffer();
        RecallResponseWriter.BeginLocal(buffer, new RecallSlot(1, 9, 4000, 128), 1).Add(Gather([1], [1], 16, 128));
        Assert.Equal("localRecall.length", Read(4127));
        Assert.Null(Read(4128));
        Assert.False(LocalRecallResponse.TryReadSlot(buffer.WrittenSpan, 4127, out _));
        Assert.True(LocalRecallResponse.TryReadSlot(buffer.WrittenSpan, 4128, out RecallSlot slot));
        Assert.Equal(9UL, slot.Lease);

        string? Read(long arenaBytes) =>
            LocalRecallResponse.TryRead(buffer.WrittenSpan, Shape(RecallMode.Gather), arenaBytes, out _, out _)?.Field;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    public void TryRead_OfANumberOfDigestsThatIsNotAllowed_IsRefused(int count)
    {
        using var buffer = new FrameBuffer();
        new SequenceOpenRequest(1, 0, "s", [.. Enumerable.Repeat(new DigestSpec(), count)], null).Write(buffer);
        Assert.Equal("sequenceOpen.digests.count", SequenceOpenRequest.Read(buffer.WrittenSpan, Limits.Default).Error?.Field);
    }

    [Fact]
    public void SequenceEntry_WithEverythingAtItsLargest_FitsIntoItsBound()
    {
        var digest = new DigestSpec { OutlierChunks = 4096, CodebookSize = 4096, Fanout = 64, ChunkTokens = 64 };
        var rotation = new RopeRotation(1, 1, int.MaxValue, RopePairing.Half, long.MaxValue);
        var entry = new SequenceEntry(
            new string('x', WireBounds.SequenceNameBytesMax), int.MaxValue, long.MaxValue,
            [.. Enumerable.Repeat(digest, WireBounds.SequenceDigestsMax)], rotation, long.MaxValue, long.MaxValue, long.MaxValue,
            long.MaxValue);
        using var buffer = new FrameBuffer();
        entry.Write(buffer);
        Assert.InRange(buffer.WrittenCount, 256, SequenceEntry.SizeBytesMax);
        SequenceEntry read = SequenceEntry.Read(buffer.WrittenSpan).Value;
        Assert.Equal(entry.Digests, read.Digests);
        Assert.Equal(entry with { Digests = read.Digests }, read);
    }

    [Fact]
    public void Selectors_ComeBack()
    {
        foreach (Selector selector in Selectors.BuiltIn)
        {
            using var buffer = new FrameBuffer();
            RecallRequestWriter.Begin(buffer, head with { Selector = selector }, 1).Add("s", 0, [3, -1]);
            Assert.Null(RecallRequestReader.TryRead(buffer.WrittenSpan, 32, Limits.Default, out RecallRequestReader reader));
            Assert.Equal(selector, reader.Head.Selector);
            Assert.True(reader.TryReadNext(out RecallRequestItem item));
            Assert.Equal([3, -1], item.Held.ToArray());
        }
    }

    [Fact]
    public void EncodeAndDecode_OfARecallOf64Items_AllocatesForTheSelectorOnly()
    {
        using var buffer = new FrameBuffer(64 * 1024);
        long one = AllocatedFor(1), many = AllocatedFor(64);
        Assert.Equal(one, many);

        long AllocatedFor(int items)
        {
            RoundTrip(items);
            return Allocated.Least(() => RoundTrip(items));
        }

        void RoundTrip(int items)
        {
            buffer.Clear();
            RecallRequestWriter writer = RecallRequestWriter.Begin(buffer, head, items);
            for (int i = 0; i < items; i++) writer.Add("chat-1", i, [1, 2, 3]);
            if (RecallRequestReader.TryRead(buffer.WrittenSpan, 32 * items, Limits.Default, out RecallRequestReader request) is not null)
                throw new InvalidOperationException("refused");
            while (request.TryReadNext(out _))
            {
            }

            buffer.Clear();
            RecallResponseWriter answer = RecallResponseWriter.Begin(buffer, items);
            for (int i = 0; i < items; i++) answer.Add(Item([3], [0, 4, 9]));
            if (RecallResponse.TryRead(buffer.WrittenSpan, Shape(RecallMode.Ids) with { Items = items }, 0, out RecallItemsReader read)
                is not null) throw new InvalidOperationException("refused");
            while (read.TryReadNext(out _))
            {
            }
        }
    }

    private static RecallShape Shape(RecallMode mode) => RecallRecode.GatherShape with { Mode = mode };

    private static RecallResponseItem Item(ReadOnlySpan<int> counts, ReadOnlySpan<int> units) =>
        new() { UnitTokens = 16, Counts = counts, Units = units };

    private static RecallResponseItem Gather(ReadOnlySpan<int> counts, ReadOnlySpan<int> units, int rows, int length) => new()
    {
        UnitTokens = 16,
        Counts = counts,
        Units = units,
        SentCounts = counts,
        Sent = units,
        GatherRows = rows,
        PayloadLength = length,
    };
}
