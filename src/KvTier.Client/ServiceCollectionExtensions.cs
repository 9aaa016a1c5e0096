using KvTier.Client;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the client for dependency injection.</summary>
public static class KvTierServiceCollectionExtensions
{
    /// <summary>
    /// Adds one <see cref="KvTierClient"/> for the whole container. It connects with its first request and is disposed with the container.
    /// </summary>
    /// <param name="services">The container's services.</param>
    /// <param name="configure">Sets the options; called once, when the client is first asked for.</param>
    /// <exception cref="KvTier.KvException">The options are not valid; thrown when the client is first asked for.</exception>
    public static IServiceCollection AddKvTierClient(this IServiceCollection services, Action<KvTierClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        return services.AddSingleton(_ =>
        {
            var options = new KvTierClientOptions();
            configure(options);
            return new KvTierClient(options);
        });
    }

    /// <summary>
    /// Adds one <see cref="KvClusterClient"/> for the whole container. It asks for the map with its first request and is disposed with the
    /// container.
    /// </summary>
    /// <param name="services">The container's services.</param>
    /// <param name="configure">Sets the options; called once, when the client is first asked for.</param>
    /// <exception cref="KvTier.KvException">The options are not valid; thrown when the client is first asked for.</exception>
    public static IServiceCollection AddKvTierClusterClient(this IServiceCollection services, Action<KvClusterClientOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        return services.AddSingleton(_ =>
        {
            var options = new KvClusterClientOptions();
            configure(options);
            return new KvClusterClient(options);
        });
    }
}
