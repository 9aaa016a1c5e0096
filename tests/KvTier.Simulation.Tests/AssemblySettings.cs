// The batches of seeds use all processors by themselves.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
