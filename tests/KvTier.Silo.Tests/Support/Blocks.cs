using System.Text;
using KvTier.Protocol;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Support;

/// <summary>Puts and gets of blocks whose bytes follow from their ids.</summary>
internal static class Blocks
{
    public static byte[] Bytes(BlockId id, int length)
    {
        byte[] bytes = new byte[length];
        BlockBytes.Fill(id, bytes);
        return bytes;
    }

    public static uint Check(BlockId id, ReadOnlySpan<byte> bytes, int offset = 0) =>
        BlockCheck.Compute(id, 0, offset, bytes.Length, Crc32C.Compute(bytes));

    public static (Action<FrameBuffer> Body, byte[] Payload) PutRequest(
        RawClient client, IReadOnlyList<(string Key, int Length)> blocks, AckLevel ack = AckLevel.Memory, PutFlags flags = PutFlags.None,
            int deadlineMs = 0, uint spoil = 0)
    {
        byte[][] bytes = [.. blocks.Select(block => Bytes(client.Id(block.Key), block.Length))];
        return (buffer =>
        {
            PutRequestWriter writer = PutRequestWriter.Begin(buffer, client.Namespace, ack, flags, 0, deadlineMs, blocks.Count);
            for (int i = 0; i < blocks.Count; i++)
                writer.Add(Encoding.UTF8.GetBytes(blocks[i].Key), blocks[i].Length, 0, Check(client.Id(blocks[i].Key), bytes[i]) ^ spoil);
        }, [.. bytes.SelectMany(b => b)]);
    }

    public static (PutItemStatus[] Statuses, KvError? Error) Put(RawClient client, params (string Key, int Length)[] blocks)
    {
        (Action<FrameBuffer> body, byte[] payload) = PutRequest(client, blocks);
        return ReadPut(client.Ask(Opcode.Put, body, payload), blocks.Length);
    }

    public static (PutItemStatus[] Statuses, KvError? Error) ReadPut(Reply reply, int count)
    {
        Assert.Null(PutResponse.TryRead(reply.Ok(), count, out PutResponse response));
        return (response.Statuses.ToArray(), response.Error);
    }

    public static (GetItem Item, byte[] Bytes)[] Get(RawClient client, params string[] keys) => Get(client, default, keys);

    public static (GetItem Item, byte[] Bytes)[] Get(RawClient client, ByteRange[]? ranges, params string[] keys) =>
        ReadGet(client.Ask(Opcode.Get, buffer => GetRequest.Write(buffer, client.Namespace, 0, [.. keys.Select(client.Id)], ranges)),
            keys.Length);

    public static (GetItem Item, byte[] Bytes)[] ReadGet(Reply reply, int count)
    {
        Assert.Null(GetResponseReader.TryRead(reply.Ok(), count, reply.Payload.Length, new Limits(), out GetResponseReader reader));
        var result = new List<(GetItem, byte[])>();
        int at = 0;
        while (reader.TryReadNext(out GetItem item))
        {
            result.Add((item, reply.Payload[at..(at + item.Length)]));
            at += item.Length;
        }

        return [.. result];
    }

    /// <summary>Gets a block and checks every byte and the check.</summary>
    public static void AssertRight(RawClient client, string key, int length)
    {
        (GetItem item, byte[] bytes) = Get(client, key).Single();
        Assert.True(item.Status.IsHit(), $"{key}: {item.Status}");
        Assert.Equal(length, bytes.Length);
        Assert.Equal(-1, BlockBytes.FirstWrong(client.Id(key), bytes));
        Assert.Equal(Check(client.Id(key), bytes), item.Check);
    }
}
