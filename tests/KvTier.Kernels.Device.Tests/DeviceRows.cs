namespace KvTier.Kernels.Device.Tests;

/// <summary>Rows of one dtype in a slot of the device, with the values that they stand for.</summary>
internal sealed class DeviceRows : IDisposable
{
    private readonly RecallDevice device;

    private DeviceRows(RecallDevice device, Dtype dtype, int rows, int length)
    {
        this.device = device;
        Dtype = dtype;
        Rows = rows;
        Length = length;
        Values = new double[rows, length];
    }

    public Dtype Dtype { get; }

    public int Rows { get; }

    public int Length { get; }

    /// <summary>What the elements stand for, without scales.</summary>
    public double[,] Values { get; }

    /// <summary>The rows' scales; empty when there are none.</summary>
    public float[] Scales { get; private set; } = [];

    /// <summary>The rows as they are stored, without their scales.</summary>
    public byte[] Bytes { get; private set; } = [];

    public DeviceSlot Slot { get; private set; }

    /// <summary>First byte of a row.</summary>
    public long At(int row) => Slot.Offset + ((long)row * Length * Dtype.SizeBytes());

    /// <summary>First byte of a row's scale; -1 when there are none.</summary>
    public long ScaleAt(int row) => Scales.Length == 0 ? -1 : At(Rows) + (row * sizeof(float));

    /// <summary>The scaled value.</summary>
    public double this[int row, int column] => Values[row, column] * (Scales.Length == 0 ? 1 : Scales[row]);

    /// <summary>Random rows, normal around a mean per column, as keys are; int8 rows have scales.</summary>
    public static DeviceRows Random(RecallDevice device, Dtype dtype, int rows, int length, Random random)
    {
        double[] means = [.. Enumerable.Range(0, length).Select(_ => Normal(random))];
        double stretch = dtype == Dtype.Int8 ? 30 : 1;
        return Make(device, dtype, rows, length, (_, column) => Elements.Encode(dtype, stretch * (Normal(random) + means[column])),
            dtype == Dtype.Int8 ? _ => (float)((0.5 + random.NextDouble()) / stretch) : null);
    }

    /// <summary>Rows of given bits.</summary>
    public static DeviceRows Make(
        RecallDevice device, Dtype dtype, int rows, int length, Func<int, int, uint> bits, Func<int, float>? scale = null)
    {
        var made = new DeviceRows(device, dtype, rows, length);
        // Rounded up, so that the scales after the rows are aligned.
        byte[] bytes = new byte[Math.Max(4, rows * ((length * dtype.SizeBytes()) + sizeof(float)))];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < length; column++)
            {
                uint code = bits(row, column);
                Elements.Write(dtype, bytes, (row * length) + column, code);
                made.Values[row, column] = Elements.Decode(dtype, code);
            }
        }

        made.Bytes = bytes[..(rows * length * dtype.SizeBytes())];
        if (scale is not null)
        {
            made.Scales = [.. Enumerable.Range(0, rows).Select(scale)];
            Buffer.BlockCopy(made.Scales, 0, bytes, rows * length * dtype.SizeBytes(), rows * sizeof(float));
        }

        Assert.Equal(DeviceAllocation.Allocated, device.TryAllocate(bytes.Length, out DeviceSlot slot));
        made.Slot = slot;
        Assert.Null(device.Wait(device.CopyIn(bytes, slot).Value));
        return made;
    }

    public void Dispose() => device.Free(Slot);

    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
