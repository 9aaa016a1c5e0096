namespace KvTier.Protocol;

/// <summary>The notices LocalRelease (leases) and LocalAbort (reservations): a list of numbers.</summary>
public static class NumbersNotice
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<ulong> numbers)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.WriteNumbers(buffer, numbers);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="countMax">Most numbers: <see cref="Limits.LeasesMax"/> or <see cref="Limits.ReservationsMax"/>.</param>
    /// <param name="numbers">The numbers, standing in the body.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int countMax, out NumberList numbers)
    {
        var reader = new BodyReader(body, "notice", Fields);
        ReadOnlySpan<byte> blob = reader.Blob("numbers", sizeof(ulong), countMax);
        reader.Finish();
        numbers = reader.IsOk ? new NumberList(blob) : default;
        return reader.Error;
    }
}
