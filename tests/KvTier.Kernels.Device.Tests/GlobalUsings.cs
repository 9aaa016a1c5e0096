global using KvTier.Testing;

// The device is one, and native bytes are counted for the whole process: tests run one after another.
[assembly: Xunit.CollectionBehavior(DisableTestParallelization = true)]
[assembly: Xunit.AssemblyFixture(typeof(KvTier.Kernels.Device.Tests.DeviceFixture))]
