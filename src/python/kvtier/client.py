"""The synchronous client."""
from __future__ import annotations

from types import TracebackType
from typing import Any, Iterable

from .namespace import Namespace
from .profile import OPAQUE, Profile


def connect(endpoint: str | Iterable[str], *, token: str | None = None, timeout_ms: int = 5000, local: str = "auto",
            **options: Any) -> Client:
    """Connects to a silo, or to a cluster when several endpoints are given or the silo is a member of one.

    :param endpoint: ``unix:/path``, ``host:port`` or ``tcp://host:port``, or several of these.
    :param token: the access token, where the silo asks for one.
    :param timeout_ms: how long a call may take, retries included, where it says nothing else.
    :param local: ``auto`` maps the silo's shared memory where it offers it, ``never`` does not, ``require`` refuses to go without.
    :raises KvTierError: the silo can't be reached, or refuses.
    """
    raise NotImplementedError


class Client:
    """One or several silos. Thread-safe; make one a process. A context manager."""

    def ping(self, *, deadline_ms: int | None = None) -> None:
        """Asks for an empty answer."""
        raise NotImplementedError

    def stat(self, *, deadline_ms: int | None = None) -> dict[str, Any]:
        """The silo's figures."""
        raise NotImplementedError

    def namespaces(self, *, deadline_ms: int | None = None) -> list[dict[str, Any]]:
        """The namespaces: ``tenant``, ``profile``, ``fingerprint``, ``blocks``."""
        raise NotImplementedError

    def namespace(self, profile: Profile = OPAQUE, tenant: str = "default") -> Namespace:
        """Opens a namespace; the same one for the same descriptor.

        :raises NamespaceMismatch: another profile is registered under this name.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connections; leases are void from then on."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
