global using KvTier.Testing;

// Native bytes are counted for the whole process, so that tests which assert that none are left run one after another.
[assembly: Xunit.CollectionBehavior(DisableTestParallelization = true)]
