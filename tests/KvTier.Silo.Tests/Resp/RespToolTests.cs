using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>The programs that people use with Redis, run against the listener.</summary>
[Collection("resp")]
public sealed class RespToolTests(RespFixture fixture)
{
    private const string LmCacheLike = """
        import redis, os, sys
        r = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))
        keys = []
        for i in range(6):
            key = "model@1@0@%064x@half" % i
            meta, value = os.urandom(28), os.urandom(2 << 20)
            assert not r.exists(key + "metadata")
            assert r.set(key + "kv_bytes", value) and r.set(key + "metadata", meta)
            assert r.exists(key + "metadata") and r.get(key + "metadata") == meta and r.get(key + "kv_bytes") == value
            assert r.strlen(key + "kv_bytes") == 2 << 20 and r.getrange(key + "kv_bytes", 100, 1099) == value[100:1100]
            keys += [key + "metadata", key + "kv_bytes"]
        assert [len(v) for v in r.mget(keys)] == [28, 2 << 20] * 6
        with r.pipeline(transaction=False) as p:
            for key in keys: p.get(key)
            assert [len(v) for v in p.execute()] == [28, 2 << 20] * 6
        assert sorted(k.decode() for k in r.scan_iter(match="model@*", count=5)) == sorted(keys)
        assert r.set("n", "1", nx=True) and r.set("n", "2", nx=True) is None and r.set("n", "3", get=True) == b"1"
        assert r.expire("n", 100) and 50 <= r.ttl("n") <= 100 and r.persist("n") and r.ttl("n") == -1
        assert r.info()["redis_version"] == "7.0.15" and r.config_get("save") == {"save": ""} and r.client_list()
        assert r.delete(*keys) == 12 and r.unlink("n") == 1 and r.get(keys[0]) is None
        print("ok")
        """;

    [Fact]
    public async Task RedisBenchmark_OfSetGetMset_EndsWithoutErrors()
    {
        (string output, int exitCode) = await Tool.RunAsync(
            "redis-benchmark", ["-p", $"{fixture.SiloPort}", "-t", "set,get,mset", "-q", "-n", "5000", "-c", "10", "-r", "100"]);
        Assert.Equal(0, exitCode);
        Assert.Contains("SET:", output, StringComparison.Ordinal);
        Assert.Contains("MSET (10 keys):", output, StringComparison.Ordinal);
        Assert.DoesNotContain("rror", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RedisCli_PipeOf100000Sets_HasAReplyForEachAndNoErrors()
    {
        string file = Path.GetTempFileName();
        try
        {
            await using (var writer = new StreamWriter(file, append: false, Encoding.ASCII))
            {
                for (int i = 0; i < 100_000; i++)
                {
                    string key = $"pipe:{i % 20_000}";
                    string value = $"value {i}";
                    await writer.WriteAsync($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${value.Length}\r\n{value}\r\n");
                }
            }

            (string output, int exitCode) = await Tool.RunAsync("redis-cli", ["-p", $"{fixture.SiloPort}", "--pipe"], file);
            Assert.Contains("errors: 0, replies: 100000", output, StringComparison.Ordinal);
            Assert.Equal(0, exitCode);
        }
        finally
        {
            File.Delete(file);
        }

        using var client = new RespClient(fixture.SiloPort);
        Assert.Equal("$11\r\nvalue 99999\r\n", client.Call("GET", "pipe:19999"));
        Assert.Equal("+OK\r\n", client.Call("FLUSHALL"));
    }

    [Fact]
    public async Task PythonRedis_UsedAsLmCacheDoes_GetsItsBytesBack()
    {
        using var client = new RespClient(fixture.SiloPort);
        Assert.Equal("+OK\r\n", client.Call("FLUSHALL"));
        (string output, int exitCode) = await Tool.RunAsync("/usr/bin/python3", ["-c", LmCacheLike, $"{fixture.SiloPort}"]);
        Assert.True(exitCode == 0 && output.Contains("ok", StringComparison.Ordinal), output);
    }
}
