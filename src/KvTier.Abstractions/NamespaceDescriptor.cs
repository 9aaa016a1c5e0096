using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace KvTier;

/// <summary>
/// A namespace: tenant and model profile. The unit of quota, isolation and accounting.
/// </summary>
/// <param name="Tenant">Who owns the blocks; 1 to 128 characters of <c>[a-z0-9._-]</c>.</param>
/// <param name="Profile">What a block is.</param>
public sealed record NamespaceDescriptor(string Tenant, ModelProfile Profile)
{
    private NamespaceId? id;
    private string? name;

    /// <summary>A copy, to be changed by <c>with</c>: name and fingerprint are not copied, since they may be others then.</summary>
    private NamespaceDescriptor(NamespaceDescriptor original)
    {
        Tenant = original.Tenant;
        Profile = original.Profile;
    }

    /// <summary>
    /// The name people use, <c>tenant/profile</c>. One silo holds one descriptor under a name; a second one that differs is refused.
    /// </summary>
    public string Name => name ??= $"{Tenant}/{Profile.Name}";

    /// <summary>
    /// True when the tenant begins with <c>_</c>: the silo's own state. No client opens or sees it, and its blocks stay in the log until
    /// they are deleted.
    /// </summary>
    public bool IsInternal => Tenant.StartsWith('_');

    /// <summary>
    /// True for the databases of RESP2 clients (tenant <c>resp</c>), whose values may be replaced and deleted at any time. Blocks of all
    /// other namespaces are what their keys say, and equal wherever they are.
    /// </summary>
    public bool IsMutable => Tenant == "resp";

    /// <summary>The fingerprint, computed once.</summary>
    public NamespaceId Id => id ??= ComputeId();

    /// <summary>
    /// The text whose SHA-256 is the fingerprint: <c>kvtier-namespace-1</c>, then every field as <c>name=value</c>, one a line, each line
    /// ended by a line feed. Numbers are invariant; theta and scaling are in the shortest form that round-trips.
    /// </summary>
    public string CanonicalText
    {
        get
        {
            var text = new StringBuilder("kvtier-namespace-1\n");
            foreach ((string name, string value) in Fields()) text.Append(name).Append('=').Append(value).Append('\n');
            return text.ToString();
        }
    }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when the descriptor is valid, else the first error.</returns>
    public KvError? Validate() =>
        Names.IsValid(Tenant) ? Profile.Validate() : KvError.InvalidArgument("tenant", Tenant, "1 to 128 characters of [a-z0-9._-]");

    /// <summary>Compares with the descriptor that is registered under the same name.</summary>
    /// <returns>Null when they agree, else an error that names the first field that differs, with both values.</returns>
    public KvError? CompareWithRegistered(NamespaceDescriptor registered)
    {
        foreach (((string name, string mine), (_, string theirs)) in Fields().Zip(registered.Fields()))
        {
            if (mine != theirs) return new KvError(ErrorCode.NamespaceMismatch, $"namespace {Name}: {name}", mine, theirs);
        }

        return null;
    }

    /// <inheritdoc/>
    public bool Equals(NamespaceDescriptor? other) => other is not null && other.CanonicalText == CanonicalText;

    /// <inheritdoc/>
    public override int GetHashCode() => Id.GetHashCode();

    private NamespaceId ComputeId() => NamespaceId.Read(SHA256.HashData(Encoding.UTF8.GetBytes(CanonicalText)));

    private IEnumerable<(string Name, string Value)> Fields()
    {
        yield return ("tenant", Tenant);
        yield return ("profile", Profile.Name);
        yield return ("kind", Profile.Kind switch { AttentionKind.Opaque => "opaque", AttentionKind.Gqa => "gqa", _ => "mla" });
        yield return ("layers", Number(Profile.Layers));
        yield return ("kvHeads", Number(Profile.KvHeads));
        yield return ("headDim", Number(Profile.HeadDim));
        yield return ("dtype", Profile.Dtype.Name());
        yield return ("blockTokens", Number(Profile.BlockTokens));
        yield return ("ropeTheta", Profile.Rope.Theta.ToString("R", CultureInfo.InvariantCulture));
        yield return ("ropeScaling", Profile.Rope.ScalingFactor.ToString("R", CultureInfo.InvariantCulture));
        yield return ("preRotation", Profile.Rope.PreRotation ? "1" : "0");
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
