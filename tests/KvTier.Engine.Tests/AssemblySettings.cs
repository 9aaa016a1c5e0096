// The leak gate counts native bytes of the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
