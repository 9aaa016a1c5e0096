using YamlDotNet.RepresentationModel;

namespace KvTier.Deploy.Tests;

public sealed class ChartObjectsTests
{
    [Theory]
    [MemberData(nameof(ChartValues.All), MemberType = typeof(ChartValues))]
    public void Render_AnyValues_SelectorsFindThePodsAndNamesAreUnique(string values)
    {
        Chart chart = Chart.Render(values);
        IReadOnlyList<YamlNode> sets = chart.Of("StatefulSet");
        Assert.NotEmpty(sets);
        foreach (YamlNode set in sets)
        {
            Dictionary<string, string> pod = set.Map("spec", "template", "metadata", "labels");
            Assert.True(set.Map("spec", "selector", "matchLabels").All(pod.Contains));
            Assert.Equal(chart.Of("PodDisruptionBudget").Count, chart.Of("PodDisruptionBudget").Count(budget =>
                budget.Map("spec", "selector", "matchLabels").All(pod.Contains)));
            YamlNode headless = Assert.Single(
                chart.Of("Service"), each => each.Text("metadata", "name") == set.Text("spec", "serviceName"));
            Assert.Equal("None", headless.Text("spec", "clusterIP"));
            Assert.Equal("true", headless.Text("spec", "publishNotReadyAddresses"));
            Assert.True(headless.Map("spec", "selector").All(pod.Contains));
            // Pods of one set must not be found by the selector of another one.
            Assert.Single(sets, other => other.Map("spec", "selector", "matchLabels").All(pod.Contains));
        }

        YamlNode client = Assert.Single(chart.Of("Service"), each => each.Find("spec", "clusterIP") is null);
        Assert.All(sets, set => Assert.True(
            client.Map("spec", "selector").All(set.Map("spec", "template", "metadata", "labels").Contains)));
        Assert.Equal(
            chart.Objects.Count,
            chart.Objects.Select(each => (each.Text("kind"), each.Text("metadata", "name"))).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(ChartValues.All), MemberType = typeof(ChartValues))]
    public void Render_AnyValues_VolumesPortsAndSecurityAreWhole(string values)
    {
        foreach (YamlNode set in Chart.Render(values).Of("StatefulSet"))
        {
            YamlNode spec = set.Find("spec", "template", "spec")!;
            YamlNode silo = Assert.Single(spec.Items("containers"));
            HashSet<string> volumes = [.. spec.Items("volumes").Concat(set.Items("spec", "volumeClaimTemplates")
                .Select(claim => claim.Find("metadata")!)).Select(each => each.Text("name"))];
            Assert.Equal(volumes, silo.Items("volumeMounts").Select(mount => mount.Text("name")).ToHashSet());
            HashSet<string> ports = [.. silo.Items("ports").Select(port => port.Text("name"))];
            foreach (string probe in (string[])["startupProbe", "livenessProbe", "readinessProbe"])
                Assert.Contains(silo.Text(probe, "httpGet", "port"), ports);
            Assert.Equal("/healthz", silo.Text("livenessProbe", "httpGet", "path"));
            Assert.Equal("/readyz", silo.Text("readinessProbe", "httpGet", "path"));
            Assert.Equal("true", spec.Text("securityContext", "runAsNonRoot"));
            Assert.Equal("true", silo.Text("securityContext", "readOnlyRootFilesystem"));
            Assert.Equal("false", spec.Text("enableServiceLinks"));
            Assert.NotEmpty(silo.Items("lifecycle", "preStop", "exec", "command"));
        }
    }

    [Theory]
    [InlineData(ChartValues.Etcd, 4096)]
    [InlineData(ChartValues.Everything, 65_536)]
    public void Render_Arena_FitsIntoSharedMemoryAndIntoTheLimit(string values, int hostMiB)
    {
        YamlNode set = Assert.Single(Chart.Render(values).Of("StatefulSet"));
        YamlNode spec = set.Find("spec", "template", "spec")!;
        YamlNode silo = spec.Items("containers")[0];
        Assert.Contains($"--host-bytes={hostMiB}MiB", silo.Texts("args"));
        YamlNode shm = Assert.Single(spec.Items("volumes"), volume => volume.Text("name") == "shm");
        Assert.Equal("Memory", shm.Text("emptyDir", "medium"));
        Assert.Equal($"{hostMiB + 64}Mi", shm.Text("emptyDir", "sizeLimit"));
        Assert.Equal("/dev/shm", Assert.Single(silo.Items("volumeMounts"), mount => mount.Text("name") == "shm").Text("mountPath"));
        Assert.Equal($"{hostMiB + 2048}Mi", silo.Text("resources", "limits", "memory"));
    }

    [Fact]
    public void Render_Zones_EachHasASetWhoseSilosKnowIt()
    {
        IReadOnlyList<YamlNode> sets = Chart.Render(ChartValues.Zones).Of("StatefulSet");
        Assert.Equal(["kv-kvtier-a", "kv-kvtier-b", "kv-kvtier-c"], sets.Select(set => set.Text("metadata", "name")));
        foreach (YamlNode set in sets)
        {
            string zone = set.Text("spec", "template", "spec", "nodeSelector", "topology.kubernetes.io/zone");
            Assert.EndsWith($"-{zone}", set.Text("metadata", "name"), StringComparison.Ordinal);
            Assert.Contains($"--cluster-zone={zone}", set.Items("spec", "template", "spec", "containers")[0].Texts("args"));
        }
    }

    [Fact]
    public void Render_NoZones_SpreadsOverNodesAndZones()
    {
        YamlNode set = Assert.Single(Chart.Render(ChartValues.Etcd).Of("StatefulSet"));
        Assert.Equal(["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
            set.Items("spec", "template", "spec", "topologySpreadConstraints").Select(each => each.Text("topologyKey")));
    }

    [Fact]
    public void Render_OneCopyOfEachGroup_IsHandedOverBeforeTheStop()
    {
        YamlNode spec = Assert.Single(Chart.Render(ChartValues.OneCopy).Of("StatefulSet")).Find("spec", "template", "spec")!;
        Assert.Equal(["sh", "-c", "exec kvtier cluster drain \"$POD_NAME\" --timeout-ms 600000"],
            spec.Items("containers")[0].Texts("lifecycle", "preStop", "exec", "command"));
        Assert.Equal("670", spec.Text("terminationGracePeriodSeconds"));
    }

    [Fact]
    public void Render_SeveralCopies_SiloOnlyLeavesInOrder()
    {
        YamlNode spec = Assert.Single(Chart.Render(ChartValues.Etcd).Of("StatefulSet")).Find("spec", "template", "spec")!;
        Assert.Equal("sleep", spec.Items("containers")[0].Texts("lifecycle", "preStop", "exec", "command")[0]);
        Assert.Equal("70", spec.Text("terminationGracePeriodSeconds"));
    }

    [Fact]
    public void Render_Secrets_AreReferencedAndNeverOnACommandLine()
    {
        Chart chart = Chart.Render(ChartValues.Everything);
        YamlNode silo = Assert.Single(chart.Of("StatefulSet")).Items("spec", "template", "spec", "containers")[0];
        Dictionary<string, string> secrets = silo.Items("env").Where(each => each.Find("valueFrom", "secretKeyRef") is not null)
            .ToDictionary(each => each.Text("name"), each => each.Text("valueFrom", "secretKeyRef", "name"));
        Assert.Equal("kv-kvtier-token", secrets["KVTIER_TOKEN"]);
        Assert.Equal("etcd-user", secrets["KVTIER_CLUSTER_ETCD_USER"]);
        Assert.Equal("etcd-user", secrets["KVTIER_CLUSTER_ETCD_PASSWORD"]);
        Assert.Equal("resp-password", secrets["KVTIER_RESP_PASSWORD"]);
        Assert.DoesNotContain(silo.Texts("args"), argument => argument.Contains("s3cret", StringComparison.Ordinal));
        Assert.Equal("czNjcmV0", Assert.Single(chart.Of("Secret")).Text("data", "token"));
    }

    [Fact]
    public void Render_SeveralSilosWithoutEtcd_IsRefused() =>
        Assert.Contains("etcd.endpoints is empty, but there are 3 silos", Chart.RenderRefused("{}"), StringComparison.Ordinal);

    [Fact]
    public void Render_MoreCopiesThanSilos_IsRefused() =>
        Assert.Contains("cluster.replicas is 3, but there are 2 silos",
            Chart.RenderRefused(ChartValues.Etcd + "cluster: {replicas: 3}\nreplicaCount: 2\n"), StringComparison.Ordinal);

    [Fact]
    public void Render_Notes_NameTheServiceThatClientsUse() =>
        Assert.Contains("kv-kvtier-client.prod.svc:7420", Chart.Render(ChartValues.Zones).Notes, StringComparison.Ordinal);
}
