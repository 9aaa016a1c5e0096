namespace KvTier.Protocol;

/// <summary>Types of MessagePack values, named as in MessagePack-CSharp.</summary>
public enum MessagePackType : byte
{
    /// <summary>Nothing left, the head is cut short, or the reserved byte <c>C1</c>.</summary>
    Unknown,

    /// <summary>A signed or unsigned integer.</summary>
    Integer,

    /// <summary>Nil.</summary>
    Nil,

    /// <summary>True or false.</summary>
    Boolean,

    /// <summary>A 32-bit or 64-bit IEEE number.</summary>
    Float,

    /// <summary>UTF-8 text.</summary>
    String,

    /// <summary>Bytes.</summary>
    Binary,

    /// <summary>An array.</summary>
    Array,

    /// <summary>A map.</summary>
    Map,

    /// <summary>An extension: a type number and bytes.</summary>
    Extension,
}
