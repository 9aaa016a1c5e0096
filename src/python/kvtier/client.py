"""The synchronous client."""
from __future__ import annotations

import json
import threading
from types import TracebackType
from typing import Any, Iterable, Optional, Union

from .blocks import SiloBlocks
from .cluster.links import MapSource
from .cluster.map import ClusterMap
from .cluster.router import Router
from .errors import InvalidArgument, ProtocolError, Unsupported
from .namespace import Namespace
from .profile import OPAQUE, Profile, check_tenant, fingerprint
from .transport import clock
from .transport.silo import Descriptor, Silo, SiloOptions
from .wire import opcodes as op

_LOCAL = ("auto", "never", "require")
_CHECKS = ("auto", "get", "all", "silo", "none")


def connect(endpoint: Union[str, Iterable[str]], *, token: Optional[str] = None, timeout_ms: int = 5000, local: str = "auto",
            cluster: str = "auto", **options: Any) -> Client:
    """Connects to a silo, or to a cluster.

    :param endpoint: ``unix:/path``, ``host:port`` or ``tcp://host:port``; or several silos of one cluster, one of which must answer.
    :param token: the access token, where the silo asks for one.
    :param timeout_ms: how long a call may take, retries included, where it says nothing else; also how long connecting may take.
    :param local: ``auto`` maps the silo's shared memory where it is offered, ``never`` does not, ``require`` refuses to go without.
    :param cluster: ``auto`` routes by the cluster's map where the silo is in one, ``never`` talks to this silo only, ``require`` refuses a
        silo that is in none.
    :param options: fields of :class:`kvtier.transport.silo.SiloOptions`, such as ``connections=2``, ``lease_ms=10000``,
        ``local_checks="auto"`` (who checks copies out of shared memory: ``get`` the client, ``all`` the client and what it writes too,
        ``silo`` the silo, ``none`` nobody; ``auto`` the quicker one).
    :raises KvTierError: the silo can't be reached, or refuses.
    """
    endpoints = [endpoint] if isinstance(endpoint, str) else list(endpoint)
    if not endpoints:
        raise InvalidArgument("endpoint", "none", "at least one")
    _one_of("local", local, _LOCAL)
    _one_of("cluster", cluster, _LOCAL)
    _one_of("local_checks", options.get("local_checks", "auto"), _CHECKS)
    clock.after(timeout_ms)
    try:
        chosen = SiloOptions(token=token, local=local, connect_timeout_ms=timeout_ms, **options)
    except TypeError:
        known = sorted(SiloOptions.__dataclass_fields__)
        raise InvalidArgument("options", ", ".join(set(options) - set(known)), ", ".join(known)) from None
    client = Client(endpoints, chosen, timeout_ms)
    try:
        client._start(cluster)
    except BaseException:
        client.close()
        raise
    return client


class Client:
    """One silo, or the silos of a cluster. Thread-safe; make one a process. A context manager."""

    def __init__(self, endpoints: list[str], options: SiloOptions, timeout_ms: int) -> None:
        """Use :func:`connect`."""
        self.timeout_ms = timeout_ms
        self.options = options
        self._endpoints = endpoints
        self._silo = Silo(endpoints[0], options)
        self._lock = threading.Lock()
        self._namespaces: dict[bytes, Namespace] = {}
        self._cluster: Any = None

    @property
    def is_local(self) -> bool:
        """True when a silo's shared memory is mapped: leases and reservations work."""
        if self._cluster is not None:
            return self._cluster.is_local(clock.after(self.timeout_ms))  # type: ignore[no-any-return]
        return self._silo.connection(clock.after(self.timeout_ms)).local is not None

    @property
    def silo_name(self) -> str:
        """Name of the silo, or of one of the cluster."""
        silo = self._silo if self._cluster is None else self._cluster.any_silo()
        return silo.connection(clock.after(self.timeout_ms)).silo  # type: ignore[no-any-return]

    @property
    def cluster_map(self) -> Optional[ClusterMap]:
        """The newest map; None outside of a cluster."""
        return None if self._cluster is None else self._cluster.source.table.map

    def ping(self, *, deadline_ms: Optional[int] = None) -> None:
        """Asks for an empty answer."""
        self._ask(op.PING, [], deadline_ms)

    def stat(self, *, deadline_ms: Optional[int] = None) -> dict[str, Any]:
        """The silo's figures."""
        return _json(self._ask(op.STAT, [], deadline_ms), "stat")

    def cluster_status(self, *, deadline_ms: Optional[int] = None) -> dict[str, Any]:
        """The state of the cluster."""
        return _json(self._ask(op.CLUSTER_STATUS, [], deadline_ms), "clusterStatus")

    def namespaces(self, *, deadline_ms: Optional[int] = None) -> list[dict[str, Any]]:
        """The silo's namespaces: ``tenant``, ``profile``, ``fingerprint`` and number of ``blocks``."""
        body = self._ask(op.NAMESPACE_LIST, [], deadline_ms)
        try:
            return [
                {"tenant": tenant, "profile": Profile.from_wire(profile), "fingerprint": print_, "blocks": blocks}
                for tenant, profile, print_, blocks, *_ in body[0]
            ]
        except (IndexError, TypeError, ValueError, KeyError) as error:
            raise ProtocolError("namespaceList", str(error), "[[tenant, profile, fingerprint, blocks], …]") from None

    def namespace(self, profile: Profile = OPAQUE, tenant: str = "default", *, deadline_ms: Optional[int] = None) -> Namespace:
        """Opens a namespace; the same object for the same one.

        :raises NamespaceMismatch: another profile is registered under this name; says which field differs.
        """
        check_tenant(tenant)
        profile.validate()
        descriptor = Descriptor(tenant, profile, fingerprint(tenant, profile))
        known = self._namespaces.get(descriptor.fingerprint)
        if known is not None:
            return known
        deadline = clock.after(self.timeout_ms if deadline_ms is None else deadline_ms)
        blocks = SiloBlocks(self._silo, descriptor)
        if self._cluster is not None:
            self._cluster.open(descriptor, deadline)
        else:
            _, blocks.block_bytes = self._silo.attempt(lambda one: self._silo.open(one, descriptor, deadline), deadline)
        made = Namespace(self, tenant, profile, descriptor.fingerprint, blocks, self._cluster)
        with self._lock:
            return self._namespaces.setdefault(descriptor.fingerprint, made)

    def close(self) -> None:
        """Closes the connections; leases are void from then on."""
        if self._cluster is not None:
            self._cluster.close()
        self._silo.close()

    def _start(self, cluster: str) -> None:
        """Connects, and finds out whether there is a cluster."""
        deadline = clock.after(self.timeout_ms)
        if cluster == "never":
            self._silo.connection(deadline)
            return
        source = MapSource(self._endpoints, self.options)
        try:
            is_member = source.start(deadline)
            if is_member:
                source.learn_sockets(deadline)
                self._cluster = Router(source)
                if self.options.local == "require" and not self.is_local:
                    raise Unsupported("local", "require", "the Unix socket of a silo on this machine as one of the endpoints")
                return
        except BaseException:
            source.close()
            raise
        source.close()
        if cluster == "require" or len(self._endpoints) > 1:
            raise Unsupported("cluster", f"{self._endpoints[0]} is in none", "a silo of a cluster")
        self._silo.connection(deadline)

    def _ask(self, opcode: int, fields: list[Any], deadline_ms: Optional[int]) -> list[Any]:
        deadline = clock.after(self.timeout_ms if deadline_ms is None else deadline_ms)
        silo = self._silo if self._cluster is None else self._cluster.any_silo()
        return silo.attempt(lambda one: one.call(opcode, fields, deadline), deadline)  # type: ignore[no-any-return]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()


def _json(body: list[Any], what: str) -> dict[str, Any]:
    try:
        return json.loads(body[0])  # type: ignore[no-any-return]
    except (IndexError, TypeError, ValueError) as error:
        raise ProtocolError(what, str(error), "[json str]") from None


def _one_of(field: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidArgument(field, value, ", ".join(allowed))
