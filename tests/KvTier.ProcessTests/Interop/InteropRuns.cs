namespace KvTier.ProcessTests.Interop;

/// <summary>Blocks and leases at one silo.</summary>
public sealed class OneSiloInteropTests(OneSilo silos) : InteropTests(silos), IClassFixture<OneSilo>;

/// <summary>Sequences at one silo.</summary>
public sealed class OneSiloInteropSequenceTests(OneSilo silos) : InteropSequenceTests(silos), IClassFixture<OneSilo>;

/// <summary>Blocks and leases in a cluster.</summary>
public sealed class ClusterInteropTests(ThreeSilos silos) : InteropTests(silos), IClassFixture<ThreeSilos>;

/// <summary>Sequences in a cluster.</summary>
public sealed class ClusterInteropSequenceTests(ThreeSilos silos) : InteropSequenceTests(silos), IClassFixture<ThreeSilos>;
