using System.Text.Json;

namespace KvTier.Cli.Tests;

/// <summary>The benchmarks run alone: one of them reads the memory of the whole process, of which other tests give some back.</summary>
[CollectionDefinition(nameof(BenchTests), DisableParallelization = true)]
[Collection(nameof(BenchTests))]
public class BenchTests
{
    private static readonly string[] required =
    [
        "local_get_1MiB", "local_get_touch_1MiB", "local_put_1MiB", "tcp_get_1MiB_c1", "tcp_get_1MiB_c4", "tcp_put_1MiB_c1",
        "tcp_put_1MiB_c4", "resp_get_1MiB_c4", "resp_set_1MiB_c4", "ssd_read_1MiB", "ssd_write_1MiB", "index_lookup",
        "prefix_1000_keys", "index_bytes_per_block", "recover_1M_blocks_clean", "recover_1M_blocks_killed",
        "score_mean_fp16", "score_minmax_fp16", "score_device_pocl", "topk_65536", "attend_4096_tokens",
        "recall_end_to_end_p50", "recall_end_to_end_p99",
        "recall_ids_p50", "recall_ids_p99", "best_first_leaves_clustered", "best_first_leaves_synthetic",
        "cluster_get_1MiB", "cluster_route_get_1MiB", "cluster_put_1MiB", "cluster_route_put_1MiB", "cluster_put_replica_1MiB",
        "cluster_forward_get", "cluster_forward_resp",
        "cluster_attend_full", "cluster_attend_topk", "cluster_migration_GBps", "cluster_view_change_get", "cluster_view_change_put",
        "cluster_view_change_join", "scale_map_1000_silos", "scale_map_1m_moved", "scale_route_100_silos", "scale_route_1000_silos",
        "python_get_1MiB", "python_get_1MiB_dotnet", "python_put_5MiB", "python_get_32x2MiB", "python_put_32x1MiB_dotnet",
        "python_prefix_1000", "python_prefix_1000_dotnet", "python_gather_4pct", "python_gather_4pct_dotnet",
    ];

    [Fact]
    public async Task Bench_List_HasEveryRowThatIsPromised() => Assert.Superset(required.ToHashSet(),
        (await CliRun.Async("bench", "--list", "--json")).Json().EnumerateArray().Select(name => name.GetString()!).ToHashSet());

    [Fact]
    public async Task Bench_QuickAll_GivesEveryRowWithItsShape()
    {
        CliRun run = await CliRun.Async("bench", "all", "--quick", "--json");
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement[] rows = [.. run.Json().EnumerateArray()];
        Assert.Superset(required.ToHashSet(), rows.Select(row => row.GetProperty("name").GetString()!).ToHashSet());
        foreach (JsonElement row in rows)
        {
            Assert.True(row.GetProperty("value").GetDouble() > 0, row.ToString());
            Assert.False(string.IsNullOrEmpty(row.GetProperty("unit").GetString()));
            Assert.False(string.IsNullOrEmpty(row.GetProperty("baselineName").GetString()));
            if (row.GetProperty("baseline").ValueKind == JsonValueKind.Null)
                Assert.False(string.IsNullOrEmpty(row.GetProperty("note").GetString()));
            else Assert.True(row.GetProperty("ratio").GetDouble() > 0, row.ToString());
        }
    }

    [Fact]
    public void Choose_Recall_IsEveryRowOfRecallAndNoOther()
    {
        IReadOnlySet<string> chosen = BenchRunner.Choose(["recall"]);
        string[] some =
            ["score_mean_fp16", "topk_65536", "recall_end_to_end_p50", "best_first_leaves_clustered", "best_first_leaves_synthetic"];
        Assert.Superset(some.ToHashSet(), chosen.ToHashSet());
        Assert.DoesNotContain("tcp_get_1MiB_c1", chosen);
    }

    [Theory]
    [InlineData(300, 100, 3)]
    [InlineData(50, 100, 0.5)]
    public void Rate_MoreIsBetter_RatioIsValueOverBaseline(double value, double baseline, double ratio) =>
        Assert.Equal(ratio, BenchRow.Rate("r", value, "ops/s", "b", baseline, null).Ratio);

    [Theory]
    [InlineData(50, 100, 2)]
    [InlineData(200, 100, 0.5)]
    public void Cost_LessIsBetter_RatioIsBaselineOverValue(double value, double baseline, double ratio) =>
        Assert.Equal(ratio, BenchRow.Cost("r", value, "ns", "b", baseline, null).Ratio);

    [Fact]
    public void Median_EvenAndOddCounts_IsTheMiddle()
    {
        Assert.Equal(2, Median.Of([9, 1, 2]));
        Assert.Equal(3, Median.Of([1, 4, 2, 9]));
        Assert.Throws<ArgumentException>(() => Median.Of([]));
    }
}
