using KvTier.Cluster;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Clustering;

/// <summary>Writes the stages of moves to the log.</summary>
internal sealed class MoveLog(ILogger logger)
{
    /// <summary>Writes one.</summary>
    /// <param name="stage">How far the move is.</param>
    /// <param name="group">The group.</param>
    /// <param name="other">The silo that gets the group, or the one that gives it.</param>
    public void Tell(MoveStage stage, BlockId group, string other)
    {
        if (!logger.IsEnabled(LogLevel.Information)) return;
        if (stage >= MoveStage.RoomKept) logger.MovingHere(group, other, TextOf(stage));
        else logger.MovingAway(group, other, TextOf(stage));
    }

    private static string TextOf(MoveStage stage) => stage switch
    {
        MoveStage.Reserve => "asking for room",
        MoveStage.Copy => "copying",
        MoveStage.CatchUp => "catching up",
        MoveStage.Switch => "switching",
        MoveStage.LastCatchUp => "switched, catching up for the last time",
        MoveStage.GivenAway => "given away",
        MoveStage.GivenUp => "given up",
        MoveStage.Drop => "dropping",
        MoveStage.RoomKept => "room kept",
        MoveStage.Arriving => "arriving",
        MoveStage.Taken => "taken",
        _ => "room given back",
    };
}
