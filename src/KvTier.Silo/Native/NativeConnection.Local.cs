using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>The local path: offsets into the shared arena instead of bytes.</content>
internal sealed partial class NativeConnection
{
    /// <summary>Lease that a client gets who names none, in ms.</summary>
    private const int LeaseMsDefault = 10_000;

    private bool? isSameUser;

    /// <summary>Says why the local path is closed to this connection.</summary>
    private KvError? CheckLocal()
    {
        if (!context.Options.LocalPath) return new KvError(ErrorCode.Unsupported, "localPath", "false", "true in the silo's options");
        if (!isUnix) return new KvError(ErrorCode.Unsupported, "localPath", "a TCP connection", "a connection over the Unix socket");
        if (engine.Arena.Shared is null) return new KvError(ErrorCode.Unsupported, "localPath", "host memory that is not shared",
            "shared memory: " + engine.Arena.Fallback);
        if (isSameUser ??= PeerCredentials.UidOf(socket) == PeerCredentials.OwnUid) return null;
        return new KvError(ErrorCode.Unauthorized, "localPath", $"user {PeerCredentials.UidOf(socket)}",
            $"user {PeerCredentials.OwnUid}, whose silo it is");
    }

    private KvError? Attach(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        LocalAttachResponse.Write(output.Buffer, engine.Arena.Shared!);
        return null;
    }

    private KvError? ReleaseLocal(ReadOnlySpan<byte> body)
    {
        if (NumbersNotice.TryRead(body, limits.LeasesMax, out NumberList leases) is { } error) return error;
        for (int i = 0; i < leases.Count; i++) local.ReleaseRead(leases[i]);
        return null;
    }

    private KvError? AbortLocal(ReadOnlySpan<byte> body)
    {
        if (NumbersNotice.TryRead(body, limits.ReservationsMax, out NumberList reservations) is { } error) return error;
        long now = context.Time.GetTimestamp();
        for (int i = 0; i < reservations.Count; i++)
        {
            if (local.TryTakeWrite(reservations[i], now, out LocalReservation reservation)) engine.Abort(reservation.Reservation);
        }

        return null;
    }

    private int LeaseMs(int wanted) => wanted == 0 ? Math.Min(LeaseMsDefault, limits.LeaseMsMax) : wanted;
}
