using KvTier.Client.Local;
using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>A recall whose payload is leased in shared memory.</summary>
internal sealed class LocalRecallExchange : RecallExchange
{
    public override Opcode Opcode => Opcode.LocalRecall;

    public override bool NeedsLocal => true;

    /// <summary>Where the payload lies.</summary>
    public RecallSlot Slot { get; private set; }

    public LocalSession Session => Answered!.Local!;

    protected override int LeaseMs => Target!.Local!.LeaseMs;

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (LocalRecallResponse.TryRead(body, Shape, Session.ArenaBytes, out RecallSlot slot, out RecallItemsReader items) is { } error)
            return error;
        Slot = slot;
        return Take(items) ?? NoPayload(payloadLength);
    }

    public override void Clear()
    {
        base.Clear();
        Slot = default;
    }
}
