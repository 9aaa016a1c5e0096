using System.Text;
using KvTier.Testing;

namespace KvTier.Cli.Tests;

public class NpyReaderTests : IDisposable
{
    private const string WriteAll =
        """
        import sys, numpy as np
        folder = sys.argv[1]
        a = (np.arange(24).reshape(2, 3, 4) - 11.5) / 8
        for version in (1, 2, 3):
            for dtype in ("<f2", "<f4"):
                with open(f"{folder}/v{version}{dtype[1:]}.npy", "wb") as f:
                    np.lib.format.write_array(f, a.astype(dtype), version=(version, 0))
        np.save(f"{folder}/f8.npy", a)
        np.save(f"{folder}/i4.npy", a.astype("<i4"))
        np.save(f"{folder}/big.npy", a.astype(">f4"))
        np.save(f"{folder}/fortran.npy", np.asfortranarray(a.astype("<f4")))
        np.save(f"{folder}/rank2.npy", a.astype("<f4")[0])
        np.save(f"{folder}/scalar.npy", np.float32(1))
        np.save(f"{folder}/empty.npy", np.zeros((2, 0, 4), "<f4"))
        """;

    private readonly TempDirectory folder = new();

    public void Dispose()
    {
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData("v1f2", Dtype.Float16)]
    [InlineData("v1f4", Dtype.Float32)]
    [InlineData("v2f2", Dtype.Float16)]
    [InlineData("v2f4", Dtype.Float32)]
    [InlineData("v3f2", Dtype.Float16)]
    [InlineData("v3f4", Dtype.Float32)]
    public void Read_WhatNumPyWrote_HasTheSameElements(string file, Dtype dtype)
    {
        Python.RunWith("numpy", WriteAll, folder.FullPath);
        NpyArray array = NpyReader.Read(folder[$"{file}.npy"], "--keys", 3).Value;
        Assert.Equal(dtype, array.Dtype);
        Assert.Equal([2, 3, 4], array.Shape);
        Assert.Equal(Enumerable.Range(0, 24).Select(i => (i - 11.5f) / 8), array.ToSingle());
    }

    [Theory]
    [InlineData("f8", "--keys: dtype is <f8; allowed: <f2 or <f4")]
    [InlineData("i4", "--keys: dtype is <i4; allowed: <f2 or <f4")]
    [InlineData("big", "--keys: dtype is >f4; allowed: <f2 or <f4")]
    [InlineData("fortran", "--keys: order is Fortran; allowed: C")]
    [InlineData("rank2", "--keys: rank is 2; allowed: 3")]
    [InlineData("scalar", "--keys: rank is 0; allowed: 3")]
    [InlineData("empty", "--keys: shape[1] is 0; allowed: 1 or more")]
    public void Read_NotWhatIsAskedFor_NamesTheField(string file, string expected)
    {
        Python.RunWith("numpy", WriteAll, folder.FullPath);
        KvError? error = NpyReader.Read(folder[$"{file}.npy"], "--keys", 3).Error;
        Assert.Equal(ErrorCode.InvalidArgument, error?.Code);
        Assert.Contains(expected, error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_EveryTruncationAndOneByteMore_IsRefused()
    {
        NpyWriter.Write(folder["a.npy"], Dtype.Float16, [1, 2, 3], [1, 2, 3, 4, 5, 6]);
        byte[] whole = File.ReadAllBytes(folder["a.npy"]);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(folder["b.npy"], whole[..length]);
            Assert.Equal(ErrorCode.InvalidArgument, NpyReader.Read(folder["b.npy"], "--keys", 3).Error?.Code);
        }

        File.WriteAllBytes(folder["b.npy"], [.. whole, 0]);
        Assert.Contains("bytes after the header is 13; allowed: 12", NpyReader.Read(folder["b.npy"], "--keys", 3).Error!.Message,
            StringComparison.Ordinal);
        Assert.True(NpyReader.Read(folder["a.npy"], "--keys", 3).IsOk);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{'descr': '<f4', 'fortran_order': False}")]
    [InlineData("{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2, 3)}")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1, -2, 3)}")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1 2 3)}")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 2, 3)}")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)} and more")]
    [InlineData("{'descr': '<f4, 'fortran_order': False, 'shape': (1, 2, 3)}")]
    public void Parse_NoHeader_IsNull(string text) => Assert.Null(NpyHeader.Parse(text));

    [Fact]
    public void Parse_OtherOrderAndSpacing_IsRead()
    {
        NpyHeader? header = NpyHeader.Parse("{ 'shape' :(7,), \"fortran_order\":True,'descr':'|S3' }   \n");
        Assert.Equal(("|S3", true), (header!.Descr, header.FortranOrder));
        Assert.Equal([7], header.Shape);
    }

    [Fact]
    public void Read_ShapeOfMoreBytesThanAnArrayHolds_IsALimit()
    {
        WriteHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (65536, 65536, 65536), }");
        KvError? error = NpyReader.Read(folder["h.npy"], "--values", 3).Error;
        Assert.Equal((ErrorCode.LimitExceeded, "--values: bytes"), (error!.Code, error.Field));
    }

    [Fact]
    public void Write_BothDtypes_NumPyReadsTheSame()
    {
        float[] values = [.. Enumerable.Range(0, 200_000).Select(i => (i - 1000) / 64f)];
        NpyWriter.Write(folder["f4.npy"], Dtype.Float32, [2, 1000, 100], values);
        NpyWriter.Write(folder["f2.npy"], Dtype.Float16, [2, 1000, 100], values);
        string said = Python.RunWith(
            "numpy",
            """
            import sys, numpy as np
            expected = ((np.arange(200000) - 1000) / 64).astype(np.float32).reshape(2, 1000, 100)
            for name in ("f4", "f2"):
                a = np.load(f"{sys.argv[1]}/{name}.npy")
                print(a.dtype.str, np.array_equal(a, expected.astype(a.dtype)))
            """,
            folder.FullPath);
        Assert.Equal("<f4 True\n<f2 True\n", said);
    }

    private void WriteHeader(string text) => File.WriteAllBytes(
        folder["h.npy"],
        [0x93, .. "NUMPY"u8, 1, 0, (byte)(text.Length + 1), 0, .. Encoding.ASCII.GetBytes(text), (byte)'\n']);
}
