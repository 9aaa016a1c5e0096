using KvTier.Simulation;

return SimCommand.Run(args);
