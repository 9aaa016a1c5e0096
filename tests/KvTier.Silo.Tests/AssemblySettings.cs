// The leak gate and the allocation gate count for the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
