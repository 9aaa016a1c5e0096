namespace KvTier.Silo.Tests.Resp;

/// <summary>One redis-server and one silo for all tests that compare the two.</summary>
public sealed class RespFixture : IAsyncLifetime
{
    private RedisServer? redis;
    private RespSilo? silo;

    public int RedisPort => redis!.Port;

    public int SiloPort => silo!.Port;

    internal RespSilo Silo => silo!;

    public async ValueTask InitializeAsync()
    {
        redis = await RedisServer.StartAsync();
        silo = await RespSilo.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (silo is not null) await silo.DisposeAsync();
        if (redis is not null) await redis.DisposeAsync();
    }
}

/// <summary>RESP tests run one after another: some measure allocations of the whole process.</summary>
[CollectionDefinition("resp", DisableParallelization = true)]
public sealed class RespTests : ICollectionFixture<RespFixture>;
