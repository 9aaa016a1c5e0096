using KvTier.Cluster;
using KvTier.Storage;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Clustering;

/// <summary>
/// Notes the newest map's epoch in the data directory, for a start after etcd has lost its data. Written in the background, the newest
/// only: a crash may leave an older one, and then the manifests of sequences say what was written since. Thread-safe.
/// </summary>
/// <param name="directory">The data directory; null for none, then nothing is noted.</param>
/// <param name="logger">Is told when it can't be written.</param>
internal sealed class MapNotes(DataDirectory? directory, ILogger logger)
{
    private readonly Lock gate = new();
    private ClusterTrace wanted;
    private ClusterTrace written;
    private Task writing = Task.CompletedTask;
    private bool isWriting;

    /// <summary>Reads what an earlier start has noted.</summary>
    public Result<ClusterTrace> Read()
    {
        if (directory is null) return default(ClusterTrace);
        if (!directory.ReadCluster().TryGet(out (long Epoch, int Silos) found, out KvError? error)) return error;
        written = new ClusterTrace(found.Epoch, found.Silos);
        return written;
    }

    /// <summary>Notes a map.</summary>
    public void Note(ClusterMap map)
    {
        if (directory is null) return;
        lock (gate)
        {
            if (map.Epoch <= wanted.Epoch) return;
            wanted = new ClusterTrace(map.Epoch, map.Silos.Count);
            if (isWriting) return;
            isWriting = true;
            writing = Task.Run(Write);
        }
    }

    /// <summary>Waits until the last one is written, or could not be.</summary>
    public Task WhenWrittenAsync()
    {
        lock (gate) return writing;
    }

    private void Write()
    {
        while (true)
        {
            ClusterTrace next;
            lock (gate)
            {
                next = wanted;
                if (next.Epoch <= written.Epoch)
                {
                    isWriting = false;
                    return;
                }

                written = next;
            }

            if (directory!.WriteCluster(next.Epoch, next.Silos) is { } error) logger.EpochNotNoted(next.Epoch, error.Message);
        }
    }
}
