namespace KvTier;

/// <summary>Element type of the stored keys and values.</summary>
public enum Dtype : byte
{
    /// <summary>Bytes without a meaning to the service.</summary>
    Raw = 0,

    /// <summary>IEEE 754 binary32, 4 bytes.</summary>
    Float32 = 1,

    /// <summary>IEEE 754 binary16, 2 bytes.</summary>
    Float16 = 2,

    /// <summary>bfloat16, 2 bytes.</summary>
    BFloat16 = 3,

    /// <summary>FP8 E4M3, 1 byte.</summary>
    Float8E4M3 = 4,

    /// <summary>FP8 E5M2, 1 byte.</summary>
    Float8E5M2 = 5,

    /// <summary>Signed 8-bit integer, 1 byte.</summary>
    Int8 = 6,
}

/// <summary>Facts about <see cref="Dtype"/>.</summary>
public static class DtypeExtensions
{
    /// <summary>Size of one element in bytes.</summary>
    public static int SizeBytes(this Dtype dtype) => dtype switch
    {
        Dtype.Float32 => 4,
        Dtype.Float16 or Dtype.BFloat16 => 2,
        _ => 1,
    };

    /// <summary>The name used in configuration, on the wire and in a namespace's canonical text, such as <c>bf16</c>.</summary>
    public static string Name(this Dtype dtype) => dtype switch
    {
        Dtype.Raw => "raw",
        Dtype.Float32 => "fp32",
        Dtype.Float16 => "fp16",
        Dtype.BFloat16 => "bf16",
        Dtype.Float8E4M3 => "fp8_e4m3",
        Dtype.Float8E5M2 => "fp8_e5m2",
        Dtype.Int8 => "int8",
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "not a dtype"),
    };

    /// <summary>Finds a dtype by its <see cref="Name"/>.</summary>
    /// <returns>False when no dtype has that name.</returns>
    public static bool TryParse(string name, out Dtype dtype)
    {
        foreach (Dtype candidate in Enum.GetValues<Dtype>())
        {
            if (candidate.Name() == name)
            {
                dtype = candidate;
                return true;
            }
        }

        dtype = Dtype.Raw;
        return false;
    }
}
