using System.Runtime.InteropServices;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>Collects the index of the segment that is being written, outside the GC heap; reused for one segment after the other.</summary>
internal sealed unsafe class SegmentIndexBuilder : IDisposable
{
    private const int InitialBytes = 64 << 10;
    private byte* memory = (byte*)NativeMemory.Alloc(InitialBytes);
    private int capacity = InitialBytes;
    private int used = SegmentIndexFile.HeaderBytes;

    public long Segment { get; private set; }

    /// <summary>Address from which on the device must have everything before the index may be written.</summary>
    public long NextAddress { get; set; }

    public int Count { get; private set; }

    public long ChargedBytes => used - SegmentIndexFile.HeaderBytes;

    public ReadOnlySpan<byte> Entries => new(memory + SegmentIndexFile.HeaderBytes, used - SegmentIndexFile.HeaderBytes);

    public void Begin(long segment, long nextAddress)
    {
        Segment = segment;
        NextAddress = nextAddress;
        Count = 0;
        used = SegmentIndexFile.HeaderBytes;
    }

    public void Add(in RecoveredRecord record, ReadOnlySpan<byte> key, long nextAddress)
    {
        int need = used + SegmentIndexFile.EntryBytes(key.Length);
        if (need > capacity)
        {
            capacity = (int)Math.Min(Math.Max(need, capacity * 2L), int.MaxValue);
            memory = (byte*)NativeMemory.Realloc(memory, (nuint)capacity);
        }

        SegmentIndexFile.WriteEntry(new Span<byte>(memory + used, need - used), record, key);
        used = need;
        Count++;
        NextAddress = nextAddress;
    }

    /// <summary>Writes the index under a temporary name, then takes its place.</summary>
    /// <returns>False when the disk did not take it; the segment then goes without.</returns>
    public bool TryWrite(string path, LogGeometry geometry, uint epoch)
    {
        var file = new Span<byte>(memory, used);
        SegmentIndexFile.WriteHeader(file, new SegmentIndexHeader(geometry, Segment, NextAddress, epoch, Count, ChargedBytes));
        string temporary = path + ".tmp";
        try
        {
            File.Delete(path);
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0)) stream.Write(file);
            File.Move(temporary, path, overwrite: true);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            TryDelete(temporary);
            return false;
        }
    }

    public void Dispose()
    {
        NativeMemory.Free(memory);
        memory = null;
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It will be overwritten or deleted at the next start.
        }
    }
}
