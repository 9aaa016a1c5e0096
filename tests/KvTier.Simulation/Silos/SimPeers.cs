using KvTier.Cluster;

namespace KvTier.Simulation;

/// <summary>The way from one run of a silo to the others. Everything that goes over it is copied, and what was lent is overwritten after.
/// </summary>
internal sealed class SimPeers(
    SimNetwork network, SimProcess process, string name, TimeProvider time, Random random, SimTraffic traffic) : IPeers
{
    private const byte Poison = 0xDD;

    /// <summary>Probability with which a push breaks off after some of its blocks.</summary>
    internal double BreakRate { get; set; }

    /// <summary>Probability with which a byte of a pushed block is not what was sent.</summary>
    internal double CorruptRate { get; set; }

    /// <inheritdoc/>
    public async ValueTask<Result<PeerMessage>> CallAsync(SiloEntry to, PeerMessage request, TimeSpan deadline)
    {
        byte[] body = request.Body.ToArray();
        byte[] payload = request.Payload.ToArray();
        if (request.Op < PeerOps.Blocks) traffic.MemberCalls++;
        else traffic.BlockCalls++;
        return await network.CallAsync<SimSilo, PeerMessage>(process, name, time, to.Name, async silo =>
        {
            byte[] theirBody = [.. body];
            byte[] theirPayload = [.. payload];
            Result<PeerMessage> answer = await silo.Handler.OnCallAsync(
                name, request with { Body = theirBody, Payload = theirPayload }, deadline);
            if (answer.IsOk)
                answer = answer.Value with { Body = answer.Value.Body.ToArray(), Payload = answer.Value.Payload.ToArray() };
            theirBody.AsSpan().Fill(Poison);
            theirPayload.AsSpan().Fill(Poison);
            return answer;
        }, deadline, mayRepeat: true);
    }

    /// <inheritdoc/>
    public async ValueTask<Result<PushReply>> PushAsync(SiloEntry to, PushBatch batch, TimeSpan deadline)
    {
        List<StoredBlock> blocks = [.. batch.Blocks.Select(Copy)];
        traffic.Pushes++;
        traffic.PushedBlocks += blocks.Count;
        traffic.PushedBytes += blocks.Sum(block => (long)block.Payload.Length);
        int sent = random.Chance(BreakRate) ? random.Next(blocks.Count) : blocks.Count;
        return await network.CallAsync<SimSilo, PushReply>(process, name, time, to.Name, async silo =>
        {
            PushReply reply = await silo.ReceivePushAsync(batch with { Blocks = [.. blocks.Take(sent).Select(Copy)] }, deadline);
            return sent == blocks.Count ? reply : new KvError(ErrorCode.Unavailable, to.Name, "the connection broke");
        }, deadline, mayRepeat: true);
    }

    private StoredBlock Copy(StoredBlock block)
    {
        byte[] payload = block.Payload.ToArray();
        if (payload.Length > 0 && random.Chance(CorruptRate)) payload[random.Next(payload.Length)] ^= 1;
        return block with { Key = block.Key.ToArray(), Payload = payload };
    }
}
