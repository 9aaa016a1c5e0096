namespace KvTier.Deploy.Tests;

/// <summary>Values that the chart is rendered with.</summary>
internal static class ChartValues
{
    public const string Etcd = "etcd: {endpoints: ['http://etcd-0:2379', 'http://etcd-1:2379']}\n";

    public const string SingleSilo = "replicaCount: 1\ncluster: {replicas: 1}\n";

    public const string Zones = Etcd + "zones: [a, b, c]\nreplicaCount: 2\ncluster: {replicas: 3}\n";

    public const string OneCopy = Etcd + "cluster: {replicas: 1}\n";

    public const string Everything =
        """
        etcd:
          endpoints: ['https://etcd:2379']
          authSecret: etcd-user
          tls: {secret: etcd-tls, clientCertificate: true}
        token: {value: s3cret}
        resp: {enabled: true, passwordSecret: resp-password}
        silo: {hostMiB: 65536, ssdGiB: 900, options: {recall.hotSetBytes: 1GiB, putWaitMs: 100, policy: s3fifo}}
        persistence: {size: 1Ti, storageClass: fast}
        networkPolicy: {enabled: true}
        podLabels: {team: inference}
        tolerations: [{key: gpu, operator: Exists}]
        nodeSelector: {disk: nvme}
        """;

    /// <summary>All of them, by name.</summary>
    public static TheoryData<string> All => [Etcd, SingleSilo, Zones, OneCopy, Everything];
}
