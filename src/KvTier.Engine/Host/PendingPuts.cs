namespace KvTier.Engine;

/// <summary>A put that has reserved a slot and is not sealed yet.</summary>
internal struct PendingPut
{
    internal BlockId Id;
    internal BlockId Group;
    internal ulong Fingerprint;
    internal long Expiry;
    internal int Length;
    internal uint Key;
    internal int KeyLength;
    internal ushort Namespace;
    internal byte Codec;
    internal bool Overwrite;
    internal uint NextFree;
}

/// <summary>The puts under way by number, and how many there are of each block. Not thread-safe.</summary>
internal sealed class PendingPuts
{
    private readonly Dictionary<ulong, int> byFingerprint = [];
    private PendingPut[] puts = new PendingPut[64];
    private uint top;
    private uint free = uint.MaxValue;

    /// <summary>Puts under way.</summary>
    internal int Count { get; private set; }

    /// <summary>A put by its number.</summary>
    internal ref PendingPut this[uint number] => ref puts[number];

    /// <summary>True when a put of the block is under way.</summary>
    internal bool Has(ulong fingerprint) => Count > 0 && byFingerprint.ContainsKey(fingerprint);

    /// <summary>Adds a put.</summary>
    internal uint Add(in PendingPut put)
    {
        uint number = free;
        if (number != uint.MaxValue) free = puts[number].NextFree;
        else number = top++;
        if (number == puts.Length) Array.Resize(ref puts, puts.Length * 2);
        puts[number] = put;
        System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(byFingerprint, put.Fingerprint, out _)++;
        Count++;
        return number;
    }

    /// <summary>Ends a put.</summary>
    internal void Remove(uint number)
    {
        ulong fingerprint = puts[number].Fingerprint;
        if (--byFingerprint[fingerprint] == 0) byFingerprint.Remove(fingerprint);
        puts[number] = new PendingPut { NextFree = free };
        free = number;
        Count--;
    }
}
