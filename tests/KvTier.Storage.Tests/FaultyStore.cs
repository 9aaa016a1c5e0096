using KvTier.Storage.Device;

namespace KvTier.Storage.Tests;

/// <summary>A real folder whose device fails when the test says so: hooks return 0 to go on or the errno to fail with.</summary>
internal sealed class FaultyStore(string directory) : ISegmentStore
{
    private readonly DirectorySegmentStore inner = new(directory, direct: true);

    public Func<int> OnCreate { get; set; } = () => 0;

    public Func<int> OnWrite { get; set; } = () => 0;

    public Func<int> OnSync { get; set; } = () => 0;

    public Func<int> OnRead { get; set; } = () => 0;

    public Func<int> OnZero { get; set; } = () => 0;

    public Func<int> OnDelete { get; set; } = () => 0;

    public IReadOnlyList<long> List() => inner.List();

    public int Create(long segment, long bytes, out ISegmentFile? file)
    {
        file = null;
        int error = OnCreate();
        if (error == 0) error = inner.Create(segment, bytes, out file);
        if (file is not null) file = new FaultyFile(this, file);
        return error;
    }

    public int Open(long segment, out ISegmentFile? file)
    {
        int error = inner.Open(segment, out file);
        if (file is not null) file = new FaultyFile(this, file);
        return error;
    }

    public int Delete(long segment)
    {
        int error = OnDelete();
        return error != 0 ? error : inner.Delete(segment);
    }

    public string PathOf(string name) => inner.PathOf(name);

    private sealed class FaultyFile(FaultyStore owner, ISegmentFile inner) : ISegmentFile
    {
        public long SizeBytes => inner.SizeBytes;

        public int Write(nint source, int length, long offset)
        {
            int error = owner.OnWrite();

            // A failed write is torn: a part of it is on the disk.
            if (error != 0) _ = inner.Write(source, length / 1024 * 512, offset);
            return error != 0 ? error : inner.Write(source, length, offset);
        }

        public int Read(Span<IoVector> vectors, long offset, out long read)
        {
            read = 0;
            int error = owner.OnRead();
            return error != 0 ? error : inner.Read(vectors, offset, out read);
        }

        public int Sync()
        {
            int error = owner.OnSync();
            return error != 0 ? error : inner.Sync();
        }

        public int Preallocate(long bytes) => inner.Preallocate(bytes);

        public int Zero(long offset, long length)
        {
            int error = owner.OnZero();

            // One that fails has made some of the bytes zeros.
            if (error != 0) _ = inner.Zero(offset, length / 1024 * 512);
            return error != 0 ? error : inner.Zero(offset, length);
        }

        public void Dispose() => inner.Dispose();
    }
}
