namespace KvTier.Recall;

/// <summary>
/// The sequences of a silo, as listeners see them. Each sequence takes one message at a time; its state is in the log. Every call ends by
/// its deadline at the latest, with <see cref="ErrorCode.DeadlineExceeded"/>.
/// </summary>
public interface ISequences
{
    /// <summary>Opens a sequence, or finds it when it is open with the same digests and rotation.</summary>
    ValueTask<Result<SequenceInfo>> OpenAsync(SequenceOpen open, TimeSpan deadline);

    /// <summary>Appends blocks that are stored, and builds their digests.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="blocks">The blocks in order.</param>
    /// <param name="tokens">Tokens in them: all are full but the last one, which has at least one.</param>
    /// <param name="replaceLast">True when the first of them takes the place of the sequence's last block, which was partly filled; must be
    /// so when it was.</param>
    /// <param name="deadline">Time for it.</param>
    /// <param name="expectedTokens">Tokens that the sequence must have before the append, -1 for any. When it has another number, but
    /// ends with exactly these blocks appended to that many tokens, the append has happened already (a retry): it is answered as it was
    /// then, with nothing done; otherwise <see cref="ErrorCode.InvalidArgument"/> names <c>expectedTokens</c>.</param>
    ValueTask<Result<SequenceInfo>> AppendAsync(
        ushort ns, string name, ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast, TimeSpan deadline,
        long expectedTokens = -1);

    /// <summary>Makes a sequence that begins with another one's first tokens and shares its blocks and digests.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">The sequence to fork.</param>
    /// <param name="newName">Name of the new one.</param>
    /// <param name="tokens">Tokens to keep, a whole number of blocks or all; 0 for all.</param>
    /// <param name="deadline">Time for it.</param>
    ValueTask<Result<SequenceInfo>> ForkAsync(ushort ns, string name, string newName, long tokens, TimeSpan deadline);

    /// <summary>Forgets a sequence; its blocks stay.</summary>
    ValueTask<Result<SequenceInfo>> CloseAsync(ushort ns, string name, TimeSpan deadline);

    /// <summary>What is known of a sequence; <see cref="ErrorCode.InvalidArgument"/> for one that is not open.</summary>
    Result<SequenceInfo> Describe(ushort ns, string name);

    /// <summary>What is known of a sequence; in a cluster its owner takes it over first.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="deadline">Time for it.</param>
    ValueTask<Result<SequenceInfo>> DescribeAsync(ushort ns, string name, TimeSpan deadline) => new(Describe(ns, name));

    /// <summary>The sequences of a namespace, by name; as many as fit into a page, after the name given.</summary>
    IReadOnlyList<SequenceInfo> List(ushort ns, string after, int max);

    /// <summary>Recalls.</summary>
    ValueTask<Result<RecallAnswer>> RecallAsync(RecallRequest request, TimeSpan deadline);
}
