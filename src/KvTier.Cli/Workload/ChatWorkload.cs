namespace KvTier.Cli;

/// <summary>Shape of a chat workload, in blocks.</summary>
/// <param name="Chats">Conversations that go on side by side.</param>
/// <param name="Turns">Turns of each.</param>
/// <param name="SystemBlocks">Blocks of the system prompt, which all share.</param>
/// <param name="TurnBlocks">Blocks that a turn adds: what the user said and what the model answered.</param>
internal sealed record ChatShape(int Chats, int Turns, int SystemBlocks, int TurnBlocks)
{
    /// <summary>Distinct blocks of the whole workload.</summary>
    public long DistinctBlocks => SystemBlocks + ((long)Chats * Turns * TurnBlocks);

    /// <summary>Requests of the whole workload.</summary>
    public int Requests => Chats * Turns;
}

/// <summary>
/// Multi-turn chats over one shared system prompt: each request names every block of its conversation so far, and the last
/// <see cref="ChatShape.TurnBlocks"/> of them are new. Chats take turns in rounds, so that between two turns of one all others pass.
/// </summary>
internal static class ChatWorkload
{
    /// <summary>The requests in order, each as the numbers of its blocks. A number is the same block wherever it stands.</summary>
    public static IEnumerable<long[]> Requests(ChatShape shape)
    {
        for (int turn = 1; turn <= shape.Turns; turn++)
        {
            for (int chat = 0; chat < shape.Chats; chat++)
            {
                var blocks = new long[shape.SystemBlocks + (turn * shape.TurnBlocks)];
                for (int i = 0; i < blocks.Length; i++)
                {
                    blocks[i] = i < shape.SystemBlocks
                        ? i
                        : shape.SystemBlocks + ((long)chat * shape.Turns * shape.TurnBlocks) + (i - shape.SystemBlocks);
                }

                yield return blocks;
            }
        }
    }
}
