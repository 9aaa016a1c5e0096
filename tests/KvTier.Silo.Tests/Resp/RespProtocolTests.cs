using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>
/// Raw bytes, right and wrong, whole and cut at every byte: the same answer as Redis, and the same end of the connection.
/// </summary>
[Collection("resp")]
public sealed class RespProtocolTests(RespFixture fixture)
{
    public static TheoryData<string> Scripts =>
    [
        "PING\r\nQUIT\r\n",
        "PING\nECHO 'a b'\nquit\n",
        "\r\n\r\n*0\r\n*-1\r\n*-5\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n",
        "*1\r\n$4\r\nPINGxxQUIT\r\n",
        "*1\rx$4\rxPING\r\nQUIT now\r\n",
        "*x\r\n",
        "*+1\r\n",
        "*01\r\n",
        "*2147483648\r\n",
        "*99999999999999999999\r\n",
        "*1\r\nPING\r\n",
        "*1\r\n:4\r\n",
        "*1\r\n\u00ff4\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$01\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n$536870913\r\n",
        "*2\r\n$3\r\nGET\r\n$-2\r\n",
        "PING \"a\r\n",
        "PING 'a'b\r\n",
        "ECHO \"\\x41\\n\\t\\q\\\\\"\r\nECHO 'it\\'s'\r\nECHO \"\"\r\nQUIT\r\n",
        "*1\r\n$0\r\n\r\nQUIT\r\n",
        "*2\r\n$3\r\nSET\r\n$1\r\na\r\nGET a b\r\nFOO\r\n*1\r\n$3\r\nF\r\n\r\nQUIT\r\n",
        "SET k v\r\nGET k\r\nDEL k\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\nGET k\r\nDEL k\r\nQUIT\r\n",
        "CLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY OFF\r\nPING\r\nECHO x\r\nCLIENT REPLY ON\r\nPING\r\nQUIT\r\n",
        "CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nRESET\r\nPING\r\nCLIENT REPLY SKIP\r\nRESET\r\nPING\r\nQUIT\r\n",
        "CLIENT SETNAME me\r\nSELECT 3\r\nCLIENT GETNAME\r\nRESET\r\nCLIENT GETNAME\r\nQUIT\r\n",
        "SET k 12345\r\nSELECT 1\r\nGET k\r\nSELECT 0\r\nGET k\r\nFLUSHDB\r\nGET k\r\nQUIT\r\n",
        "SET k v EXAT 1\r\nGET k\r\nSET k v PXAT 1\r\nSET k w XX\r\nDBSIZE\r\nSET k v\r\nEXPIRE k -1\r\nEXISTS k\r\nQUIT\r\n",
        "SET k v EX 100\r\nSET k w KEEPTTL\r\nTTL k\r\nSET k x\r\nTTL k\r\nSET k y EX 100 GET\r\n"
            + "PERSIST k\r\nPERSIST k\r\nTTL k\r\nDEL k\r\nQUIT\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n" + new string('v', 20_000) + "\r\nSTRLEN k\r\nGETRANGE k 5 9\r\nDEL k\r\nQUIT\r\n",
    ];

    [Theory]
    [MemberData(nameof(Scripts))]
    public void Script_SentWholeAndCutAtEveryByte_IsAnsweredAsByRedis(string script)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(script);
        string expected = Run(fixture.RedisPort, bytes, bytes.Length);
        Assert.NotEmpty(expected);
        Assert.Equal(expected, Run(fixture.SiloPort, bytes, bytes.Length));

        // A long script is mostly one value: its ends are what matters.
        int step = bytes.Length > 1000 ? 97 : 1;
        for (int cut = 1; cut < bytes.Length; cut += cut > 40 ? step : 1) Assert.Equal(expected, Run(fixture.SiloPort, bytes, cut));
    }

    [Theory]
    [InlineData("a", 65_537, "too big inline request")]
    [InlineData("*0", 65_537, "too big mbulk count string")]
    [InlineData("*1\r\n$0", 65_542, "too big bulk count string")]
    public void Line_WithoutEndIn64KiB_IsRefusedAsByRedis(string start, int length, string error)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(start.PadRight(length, '0'));
        string expected = Run(fixture.RedisPort, bytes, bytes.Length);
        Assert.Equal($"-ERR Protocol error: {error}\r\n", expected);
        Assert.Equal(expected, Run(fixture.SiloPort, bytes, bytes.Length));
    }

    private static string Run(int port, byte[] bytes, int cut)
    {
        using var client = new RespClient(port);
        client.Send(bytes.AsSpan(0, cut));
        try
        {
            client.Send(bytes.AsSpan(cut));
        }
        catch (System.Net.Sockets.SocketException)
        {
            // The server has refused the first part and closed.
        }

        return Encoding.Latin1.GetString(client.ReadToEnd());
    }
}
