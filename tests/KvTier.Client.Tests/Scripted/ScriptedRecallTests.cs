using KvTier.Client.Tests.Live;
using KvTier.Protocol;

namespace KvTier.Client.Tests.Scripted;

/// <summary>Sequences and recall with a silo that misbehaves.</summary>
public sealed class ScriptedRecallTests
{
    [Fact]
    public async Task RecallAsync_WhenAPayloadByteIsFlipped_IsCorruptAndTheConnectionLives()
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        RecallQuery query = RecallTests.Query(RecallMode.Attend, [RecallTests.Item(0, 0)], Selectors.TriForce);
        silo.Script = header => header.Opcode == Opcode.Recall ? Act.FlipPayload : Act.Answer;
        KvError error = (await ns.RecallAsync(query)).Error!;
        Assert.Equal((ErrorCode.Corrupt, "recall.items[0].check"), (error.Code, error.Field));
        Assert.Equal(1, client.CorruptBlocks);
        silo.Script = _ => Act.Answer;
        Assert.True((await ns.RecallAsync(query)).IsOk);
        Assert.Equal(1, silo.Accepted);
    }

    [Theory]
    [InlineData(Opcode.Recall, true)]
    [InlineData(Opcode.SequenceAppend, true)]
    [InlineData(Opcode.SequenceFork, false)]
    [InlineData(Opcode.SequenceClose, false)]
    public async Task ACall_WhenTheSiloClosesMidRequest_IsTriedAgainOnlyIfThatDoesNoHarm(Opcode opcode, bool again)
    {
        await using var silo = new ScriptedSilo();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo);
        await using KvTierClient closing = client;
        KvSequence sequence = (await ns.OpenSequenceAsync("a")).Value;
        int closes = 1;
        silo.Script = header => header.Opcode == opcode && Interlocked.Decrement(ref closes) >= 0 ? Act.Close : Act.Answer;
        KvError? error = opcode switch
        {
            Opcode.Recall => (await ns.RecallAsync(
                RecallTests.Query(RecallMode.Attend, [RecallTests.Item(0, 0)], Selectors.TriForce))).Error,
            Opcode.SequenceAppend => (await sequence.AppendAsync(new BlockId[] { new(1, 2) }, 16)).Error,
            Opcode.SequenceFork => (await sequence.ForkAsync("b")).Error,
            _ => (await sequence.CloseAsync()).Error,
        };
        Assert.Equal(again ? null : ErrorCode.Unavailable, error?.Code);
        Assert.Equal(again ? 2 : 1, silo.Seen.Count(seen => seen == opcode));
    }

    private static async Task<(KvTierClient Client, KvNamespace Namespace)> ConnectAsync(ScriptedSilo silo)
    {
        KvTierClient client = (await KvTierClient.ConnectAsync(new KvTierClientOptions
        {
            Endpoint = silo.Endpoint,
            RequestTimeout = LiveSilo.Patience,
            ConnectTimeout = LiveSilo.Patience,
        })).Value;
        return (client, (await client.OpenNamespaceAsync(KvText.Namespace)).Value);
    }
}
