using System.Buffers.Binary;
using System.Runtime.InteropServices;
using KvTier.Client;
using KvTier.Kernels;
using KvTier.Recall;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli;

/// <summary>An embedded silo that holds the keys and values of an evaluation as blocks, and recalls from them.</summary>
internal sealed class RecallSilo : IAsyncDisposable
{
    /// <summary>A multiple of every chunk size.</summary>
    private const int BlockTokens = 64;

    private const string SequencePrefix = "eval-";
    private static readonly TimeSpan deadline = TimeSpan.FromMinutes(10);
    private readonly RecallTensors tensors;
    private readonly RecallTier tier;
    private readonly ILoggerFactory logs;
    private readonly SiloRunner silo;
    private readonly KvTierClient client;
    private readonly KvNamespace blocks;
    private readonly List<DigestSpec> open = [];
    private BlockId[] ids = [];

    private RecallSilo(RecallTensors tensors, RecallTier tier, ILoggerFactory logs, SiloRunner silo, KvTierClient client, KvNamespace blocks)
    {
        this.tensors = tensors;
        this.tier = tier;
        this.logs = logs;
        this.silo = silo;
        this.client = client;
        this.blocks = blocks;
    }
}
