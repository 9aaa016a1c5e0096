using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using KvTier.Testing;
using YamlDotNet.RepresentationModel;

namespace KvTier.Deploy.Tests;

/// <summary>Every command line that the deployment files make is one that the silo accepts.</summary>
public sealed class CommandLineTests
{
    [Theory]
    [MemberData(nameof(ChartValues.All), MemberType = typeof(ChartValues))]
    public void Chart_EverySilo_IsAccepted(string values)
    {
        using var secrets = new TempDirectory();
        WriteCertificate(secrets.FullPath);
        foreach (YamlNode set in Chart.Render(values).Of("StatefulSet"))
        {
            YamlNode silo = set.Items("spec", "template", "spec", "containers")[0];
            Assert.Equal(["kvtier"], silo.Texts("command"));
            var environment = silo.Items("env").ToDictionary(each => each.Text("name"), each => each.Text("name") switch
            {
                "POD_NAME" => $"{set.Text("metadata", "name")}-0",
                "POD_NAMESPACE" => "prod",
                _ => "from-a-secret",
            });
            Dictionary<string, string> options = ServeCheck.Accept(
                [.. silo.Texts("args").Select(each =>
                    Expand(each, environment).Replace("/etcd-tls", secrets.FullPath, StringComparison.Ordinal))],
                environment);
            Assert.Equal($"{set.Text("metadata", "name")}-0", options["name"]);
            bool clustered = values.Contains("etcd", StringComparison.Ordinal);
            Assert.Equal(clustered, options["cluster.etcd"].Length > 0);
            if (clustered) Assert.Equal($"{options["name"]}.{set.Text("metadata", "name")}.prod.svc:7420", options["cluster.advertise"]);
        }
    }

    [Fact]
    public void Compose_EverySilo_IsAcceptedAndHasItsOwnNameAndVolume()
    {
        YamlNode compose = Assert.Single(Yaml.Documents(Merged(File.ReadAllText(RepositoryFiles.PathOf("deploy", "compose.yaml")))));
        var names = new HashSet<string>();
        var volumes = new HashSet<string>();
        for (int i = 1; i <= 3; i++)
        {
            YamlNode silo = compose.Find("services", $"silo-{i}")!;
            Dictionary<string, string> environment = silo.Map("environment");
            environment["KVTIER_TOKEN"] = "secret";
            Dictionary<string, string> options = ServeCheck.Accept(silo.Texts("command"), environment);
            Assert.True(names.Add(options["name"]));
            Assert.Equal($"silo-{i}:7420", options["cluster.advertise"]);
            Assert.True(volumes.Add(silo.Texts("volumes")[0]));
            Assert.StartsWith("/data/", options["dataDirectory"], StringComparison.Ordinal);
            Assert.EndsWith(":/data", silo.Texts("volumes")[0], StringComparison.Ordinal);
            Assert.Equal("1152m", silo.Text("shm_size"));
            Assert.Equal("1GiB", options["hostBytes"]);
        }

        Assert.NotEmpty(compose.Items("services", "etcd", "healthcheck", "test"));
    }

    [Fact]
    public void Dockerfile_HasStagesAUserAHealthCheckAndAnAcceptedCommand()
    {
        string[] lines = File.ReadAllLines(RepositoryFiles.PathOf("deploy", "Dockerfile"));
        Assert.Equal(2, lines.Count(line => line.StartsWith("FROM ", StringComparison.Ordinal)));
        string user = Assert.Single(lines, line => line.StartsWith("USER ", StringComparison.Ordinal))["USER ".Length..];
        Assert.True(int.Parse(user.Split(':')[0], System.Globalization.CultureInfo.InvariantCulture) > 0);
        Assert.Contains(lines, line => line.StartsWith("HEALTHCHECK ", StringComparison.Ordinal)
            && line.Contains("\"kvtier\", \"health\"", StringComparison.Ordinal));
        Assert.Equal(["kvtier"], Words(lines, "ENTRYPOINT "));
        Assert.Contains(lines, line => line.StartsWith("RUN dotnet publish ", StringComparison.Ordinal)
            && line.Contains("-p:PublishReadyToRun=true", StringComparison.Ordinal));
        Assert.Equal("/data/silo", ServeCheck.Accept(Words(lines, "CMD "), new Dictionary<string, string>())["dataDirectory"]);
    }

    [Fact]
    public void Systemd_UnitWithItsConfig_IsAccepted()
    {
        string unit = File.ReadAllText(RepositoryFiles.PathOf("deploy", "kvtier.service"));
        string line = Assert.Single(
            unit.Split('\n'), each => each.StartsWith("ExecStart=", StringComparison.Ordinal))["ExecStart=".Length..];
        string[] arguments = [.. line.Split(' ')[1..].Select(each =>
            each == "/etc/kvtier/silo.yaml" ? RepositoryFiles.PathOf("deploy", "silo.yaml") : each)];
        Assert.Equal("/var/lib/kvtier/data", ServeCheck.Accept(arguments, new Dictionary<string, string>())["dataDirectory"]);
    }

    /// <summary>Writes what the secret of a TLS etcd has.</summary>
    private static void WriteCertificate(string folder)
    {
        using RSA key = RSA.Create(2048);
        var request = new CertificateRequest("CN=etcd", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        File.WriteAllText(Path.Combine(folder, "ca.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "tls.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(folder, "tls.key"), key.ExportPkcs8PrivateKeyPem());
    }

    private static string Expand(string argument, Dictionary<string, string> environment) =>
        environment.Aggregate(argument, (text, each) => text.Replace($"$({each.Key})", each.Value, StringComparison.Ordinal));

    private static string[] Words(string[] lines, string instruction) =>
        JsonSerializer.Deserialize<string[]>(
            Assert.Single(lines, line => line.StartsWith(instruction, StringComparison.Ordinal))[instruction.Length..])!;

    /// <summary>Anchors and merge keys resolved, as compose does.</summary>
    private static string Merged(string yaml) =>
        Python.RunWith("yaml", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))", yaml);
}
