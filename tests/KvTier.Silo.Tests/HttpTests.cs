using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using KvTier.Silo.Metrics;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

public sealed class HttpTests : SiloTest
{
    [Fact]
    public async Task Readyz_WhileRecoveringAndDraining_Is503_And200Between()
    {
        var recovering = new TaskCompletionSource<SiloHost>();
        var go = new TaskCompletionSource();
        SiloOptions options = Small with { Http = new HttpOptions { Port = 0 } };
        Task<Result<SiloHost>> starting = SiloHost.StartAsync(options, null, TimeProvider.System, host =>
        {
            recovering.SetResult(host);
            return go.Task;
        }, CancellationToken.None);
        if (await Task.WhenAny(recovering.Task, starting) == starting) Assert.Fail($"the start ended early: {(await starting).Error}");
        SiloHost silo = await recovering.Task;
        using var http = new HttpClient { BaseAddress = new Uri($"http://{silo.Endpoints.Http}") };
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "recovering\n"), await GetAsync(http, "/readyz"));
        Assert.Equal((HttpStatusCode.OK, "ok\n"), await GetAsync(http, "/healthz"));
        go.SetResult();
        await using SiloHost host = (await starting).Value;
        Assert.Equal((HttpStatusCode.OK, "ready\n"), await GetAsync(http, "/readyz"));

        // A put whose payload does not come keeps the silo draining until the client goes.
        RawClient client = Connect(host);
        (Action<Protocol.FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 1000)]);
        client.Send(RawClient.Encode(Protocol.Opcode.Put, 9, body, payload.Length));
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 1, "the put to begin");
        Task<KvError?> stopping = host.StopAsync();
        await UntilAsync(() => host.State == SiloState.Draining, "draining");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "draining\n"), await GetAsync(http, "/readyz"));
        client.Send(payload);
        Assert.Equal([Protocol.PutItemStatus.Stored], Blocks.ReadPut(client.Receive(), 1).Statuses);
        Assert.Null(await stopping);
    }

    [Fact]
    public async Task Paths_WithAToken_AskForItButForProbes()
    {
        SiloHost host = await StartAsync(Small with { Http = new HttpOptions { Port = 0 }, Token = "t0ken" });
        using var http = new HttpClient { BaseAddress = new Uri($"http://{host.Endpoints.Http}") };
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(http, "/healthz")).Status);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(http, "/readyz")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(http, "/metrics")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(http, "/version")).Status);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "wrong");
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(http, "/metrics")).Status);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "t0ken");
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(http, "/metrics")).Status);
        Assert.Contains("\"protocol\":1", (await GetAsync(http, "/version")).Text);
        Assert.Equal(HttpStatusCode.NotFound, (await GetAsync(http, "/nothing")).Status);
        using HttpResponseMessage post = await http.PostAsync("/metrics", null);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, post.StatusCode);
    }

    [Fact]
    public async Task Metrics_AfterTraffic_PassPromtool_AndCountIt()
    {
        SiloHost host = await StartAsync(Small with { Http = new HttpOptions { Port = 0 } });
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 100), ("b", 100));
        Blocks.Get(client, "a", "b", "missing");
        using var http = new HttpClient { BaseAddress = new Uri($"http://{host.Endpoints.Http}") };
        string text = (await GetAsync(http, "/metrics")).Text;
        string[] lines = text.Split('\n');
        Assert.Contains("kvtier_silo_ready 1", lines);
        Assert.Contains("kvtier_block_puts_total{result=\"stored\"} 2", lines);
        Assert.Contains("kvtier_block_hits_total{tier=\"host\"} 2", lines);
        Assert.Contains("kvtier_block_misses_total{reason=\"never_stored\"} 1", lines);
        Assert.Contains("kvtier_tier_size_bytes{tier=\"host\"} 200", lines);
        Assert.Contains("kvtier_request_duration_seconds_count{opcode=\"put\"} 1", lines);
        Assert.Contains("kvtier_connection_open{listener=\"tcp\"} 1", lines);
        AssertPromtool(text);
    }

    [Fact]
    public void Labels_WithSpecialCharacters_AreEscaped()
    {
        Assert.Equal("a\\\\b\\\"c\\nd", PrometheusText.EscapeLabel("a\\b\"c\nd"));
        Assert.Equal("a\\\\b\"c\\nd", PrometheusText.EscapeHelp("a\\b\"c\nd"));
    }

    private static void AssertPromtool(string text)
    {
        Process promtool;
        try
        {
            promtool = Process.Start(
                new ProcessStartInfo("promtool", "check metrics")
                {
                    UseShellExecute = false,
                    RedirectStandardInput = true,
                    RedirectStandardError = true,
                    RedirectStandardOutput = true
                })!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException("promtool is needed: install Debian's package prometheus", e);
        }

        using (promtool)
        {
            promtool.StandardInput.Write(text);
            promtool.StandardInput.Close();
            string complaints = promtool.StandardError.ReadToEnd() + promtool.StandardOutput.ReadToEnd();
            promtool.WaitForExit();
            Assert.Equal((0, ""), (promtool.ExitCode, complaints));
        }
    }

    private static async Task<(HttpStatusCode Status, string Text)> GetAsync(HttpClient http, string path)
    {
        using HttpResponseMessage response = await http.GetAsync(path);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}
