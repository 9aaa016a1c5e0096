namespace KvTier.Protocol;

/// <summary>What a frame is. The numbers are part of the wire protocol.</summary>
public enum FrameKind : byte
{
    /// <summary>Asks for one answer with the same request id.</summary>
    Request = 1,

    /// <summary>Answers a request.</summary>
    Response = 2,

    /// <summary>Answers a request, or a frame that could not be trusted, with an error.</summary>
    Error = 3,

    /// <summary>A request that is not answered; its request id is 0.</summary>
    Notice = 4,
}

/// <summary>What is asked for. The numbers are part of the wire protocol; see <c>docs/reference/protocol.md</c>.</summary>
public enum Opcode : ushort
{
    /// <summary>No opcode: in an error frame about a frame whose header could not be trusted.</summary>
    None = 0,

    /// <summary>The handshake; the first request of a connection.</summary>
    Hello = 1,

    /// <summary>Asks for an empty answer.</summary>
    Ping = 2,

    /// <summary>Registers a namespace, or finds it, and gives it a handle for this connection.</summary>
    NamespaceOpen = 10,

    /// <summary>Lists the namespaces.</summary>
    NamespaceList = 11,

    /// <summary>Stores blocks.</summary>
    Put = 20,

    /// <summary>Fetches blocks or ranges of them.</summary>
    Get = 21,

    /// <summary>Counts how many ordered blocks are here.</summary>
    Prefix = 22,

    /// <summary>Deletes blocks.</summary>
    Delete = 23,

    /// <summary>Keeps blocks from eviction for a time.</summary>
    Pin = 24,

    /// <summary>Ends pins.</summary>
    Unpin = 25,

    /// <summary>Marks blocks as used.</summary>
    Touch = 26,

    /// <summary>Starts reading blocks into host memory.</summary>
    Prefetch = 27,

    /// <summary>Tells what is known of blocks.</summary>
    Describe = 28,

    /// <summary>The silo's figures as JSON.</summary>
    Stat = 29,

    /// <summary>Asks for the arena, to map it.</summary>
    LocalAttach = 30,

    /// <summary>Leases blocks in the arena instead of sending their bytes.</summary>
    LocalGet = 31,

    /// <summary>Notice: gives leases back.</summary>
    LocalRelease = 32,

    /// <summary>Reserves slots in the arena.</summary>
    LocalReserve = 33,

    /// <summary>Seals slots that the client has written.</summary>
    LocalCommit = 34,

    /// <summary>Notice: gives reservations back unsealed.</summary>
    LocalAbort = 35,

    /// <summary>Opens a sequence, or finds it.</summary>
    SequenceOpen = 40,

    /// <summary>Appends stored blocks to a sequence.</summary>
    SequenceAppend = 41,

    /// <summary>Makes a sequence that begins as another one does.</summary>
    SequenceFork = 42,

    /// <summary>Forgets a sequence.</summary>
    SequenceClose = 43,

    /// <summary>Says what is known of a sequence.</summary>
    SequenceDescribe = 44,

    /// <summary>Lists the sequences of a namespace, a page at a time.</summary>
    SequenceList = 45,

    /// <summary>Finds the chunks that queries need, and sends their ids, their rows, or the attention over them.</summary>
    Recall = 46,

    /// <summary>The same with the payload in a leased slot of the shared arena.</summary>
    LocalRecall = 47,

    /// <summary>Asks for the map of the cluster.</summary>
    ClusterMap = 48,

    /// <summary>The state of the cluster as JSON.</summary>
    ClusterStatus = 49,

    /// <summary>What one silo asks of another.</summary>
    Peer = 50,

    /// <summary>What an operator asks of the cluster.</summary>
    ClusterAdmin = 51,

    /// <summary>Opens an engine's file of KV rows on this machine.</summary>
    RegionOpen = 60,

    /// <summary>Stores rows of a region as blocks.</summary>
    RegionStore = 61,

    /// <summary>Writes blocks into rows of a region.</summary>
    RegionLoad = 62,

    /// <summary>Ends a region.</summary>
    RegionClose = 63,

    /// <summary>An engine says how it makes keys and bytes, and hears from whom of the same namespace it differs.</summary>
    EngineHello = 64,

    /// <summary>How many blocks of a prefix are loaded sooner than they are computed anew.</summary>
    Loadable = 65,

    /// <summary>What routers are to be told of blocks: hashes, tokens, parents.</summary>
    EventNotes = 66,
}

/// <summary>Facts about <see cref="Opcode"/>.</summary>
public static class OpcodeExtensions
{
    /// <summary>True when this version of the protocol knows the opcode.</summary>
    public static bool IsKnown(this Opcode opcode) =>
        (ushort)opcode is 1 or 2 or 10 or 11 or (>= 20 and <= 35) or (>= 40 and <= 51) or (>= 60 and <= 66);

    /// <summary>True for the opcodes of the local path, which only a client that may map the arena can use.</summary>
    public static bool IsLocal(this Opcode opcode) => opcode is (>= Opcode.LocalAttach and <= Opcode.LocalAbort) or Opcode.LocalRecall;

    /// <summary>True for the requests that a payload follows.</summary>
    public static bool HasRequestPayload(this Opcode opcode) =>
        opcode is Opcode.Put or Opcode.Recall or Opcode.LocalRecall or Opcode.Peer;

    /// <summary>True for the opcodes that go as <see cref="FrameKind.Notice"/>.</summary>
    public static bool IsNotice(this Opcode opcode) => opcode is Opcode.LocalRelease or Opcode.LocalAbort;
}
