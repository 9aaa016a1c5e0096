namespace KvTier.Cli.Tests;

public class BlockContentTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(4099)]
    public void FirstWrong_EveryByteFlipped_FindsThePlace(int length)
    {
        var bytes = new byte[length];
        BlockContent.Fill(bytes, 42);
        Assert.Equal(-1, BlockContent.FirstWrong(bytes, 42));
        for (int i = 0; i < length; i++)
        {
            bytes[i] ^= 0x10;
            int found = BlockContent.FirstWrong(bytes, 42);
            Assert.InRange(i, found, found + 7);
            bytes[i] ^= 0x10;
        }
    }

    [Fact]
    public void FirstWrong_BytesOfAnotherSeed_AreWrongFromTheStart()
    {
        var bytes = new byte[4096];
        BlockContent.Fill(bytes, 1);
        Assert.Equal(0, BlockContent.FirstWrong(bytes, 2));
    }

    [Fact]
    public void FirstWrong_WordsSwapped_AreFound()
    {
        var bytes = new byte[64];
        BlockContent.Fill(bytes, 3);
        byte[] swapped = [.. bytes[8..16], .. bytes[..8], .. bytes[16..]];
        Assert.Equal(0, BlockContent.FirstWrong(swapped, 3));
    }
}
